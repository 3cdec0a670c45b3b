"""From buses to drivers: which chips answer (scan), and the driver of a settings entry (build).

A chip's module is loaded when it is first needed: a device has memory for the few it has.
"""

from collections import namedtuple

from ..errors import SettingsError
from . import rom
from .driver import Fault

# bus: its name; address: a number, or a 1-Wire id; kinds: what it may be, likeliest first, () if no chip known here;
# confirmed: it has proved to be kinds[0]; entry: settings of kinds[0] for build(), or None.
Found = namedtuple("Found", ("bus", "address", "kinds", "confirmed", "entry"))


def scan(buses, clock):
    """[Found] of {name: bus}. I2C and 1-Wire can be searched; a thermistor or a DHT22 has no name to call."""
    found = []
    for name in sorted(buses):
        bus = buses[name]
        if hasattr(bus, "readfrom_mem"):
            found += [_identify(name, bus, address, clock) for address in _answering(bus)]
        elif hasattr(bus, "readbit"):
            found += [_one_wire(name, id) for id in rom.search(bus)]
    return found


def build(entry, buses, clock):
    """The driver of a settings entry; SettingsError names the field. README.md lists the fields of each kind."""
    fields = dict(entry)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise SettingsError("sensors: no chip is called %s" % kind)
    usual, make = _KINDS[kind]
    sensor = fields.pop("id", None)
    if not isinstance(sensor, str):
        raise SettingsError("sensors: %s needs an id" % kind)
    name = fields.pop("bus", usual)
    if name not in buses:
        raise SettingsError("sensors: %s: this board has no bus %s" % (sensor, name))
    driver = make(kind, buses[name], sensor, clock, fields)
    for field in fields:
        raise SettingsError("sensors: %s: %s is not a setting of %s" % (sensor, field, kind))
    return driver


def kinds():
    """All that build() knows, sorted."""
    return sorted(_KINDS)


def doubt(found):
    """What to tell people of a guess that may cost them resolution, or None. Nobody asks the chip by writing: the bits
    that would tell a TMP105 are the manufacturer's own in an LM75."""
    if found.confirmed or found.kinds[:1] != ("lm75",):
        return None
    return (
        "sensor %s: an LM75, an LM75B and a TMP105 that was just switched on look the same. It is read as an LM75, to "
        '0.5 degrees. For its own resolution name it in `sensors`: {"kind": "tmp105", "id": "%s", "address": %d}'
    ) % (found.entry["id"], found.entry["id"], found.address)


# -- what answers


def _answering(bus):
    try:
        return sorted(bus.scan())
    except OSError:
        return []


def _one_wire(name, id):
    from .ds18b20 import FAMILIES

    text = rom.name(id)
    if id[0] not in FAMILIES:
        return Found(name, text, (), False, None)
    return Found(name, text, ("ds18b20",), True, {"kind": "ds18b20", "id": text, "bus": name})


def _identify(name, bus, address, clock):
    kinds, confirmed = (), False
    for first, last, ask in _PLACES:
        if first <= address <= last and not kinds:
            try:
                kinds, confirmed = ask(bus, address, clock)
            except (OSError, Fault):
                pass  # not the chip that was asked for
    if not kinds:
        return Found(name, address, (), False, None)
    where = "%02x" % address if name == "i2c" else "%s-%02x" % (name, address)
    entry = {"kind": kinds[0], "id": "%s-%s" % (kinds[0], where), "bus": name, "address": address}
    return Found(name, address, kinds, confirmed, entry)


def _ask_mcp9808(bus, address, clock):
    from .mcp9808 import DEVICE, MANUFACTURER

    if bus.readfrom_mem(address, MANUFACTURER, 2) != b"\x00\x54" or bus.readfrom_mem(address, DEVICE, 1) != b"\x04":
        return (), False
    return ("mcp9808",), True


def _ask_sht4x(bus, address, clock):
    """First of the two: to an SHT4x some first bytes of SHT3x's commands switch its heater on."""
    from .sht import words
    from .sht4x import serial

    words(serial(bus, address, clock.pause))
    return ("sht4x",), True


def _ask_sht3x(bus, address, clock):
    from .sht import words
    from .sht3x import status

    words(status(bus, address))
    return ("sht3x",), True


def _ask_lm75(bus, address, clock):
    """They have no identity: a guess from the configuration. TMP102's second byte ends in zeros and starts with a one
    (4 or 8 conversions a second), its resolution bits are ones; the others have one byte, which starts with a zero."""
    first, second = bus.readfrom_mem(address, 1, 2)
    if address <= 0x4B and first & 0x60 == 0x60 and second & 0x8F == 0x80:
        return ("tmp102", "tmp105", "lm75b", "lm75"), False
    return (("tmp105", "lm75b", "lm75") if first & 0x60 else ("lm75", "lm75b", "tmp105")), False


def _ask_bosch(bus, address, clock):
    from .bme280 import ID, ID_BME280, ID_BMP280

    id = bus.readfrom_mem(address, ID, 1)[0]
    if id == ID_BME280:
        return ("bme280",), True
    return (("bmp280",), True) if id == ID_BMP280 else ((), False)


# addresses from, to; asks one chip: (kinds, confirmed)
_PLACES = (
    (0x18, 0x1F, _ask_mcp9808),
    (0x44, 0x46, _ask_sht4x),
    (0x44, 0x45, _ask_sht3x),
    (0x48, 0x4F, _ask_lm75),
    (0x76, 0x77, _ask_bosch),
)


# -- drivers of settings. Each takes its own fields out of `fields`: what is left is an error.


def _ds18b20(kind, bus, sensor, clock, fields):
    from .ds18b20 import DS18B20, FAMILIES

    id = rom.parse(sensor)
    if id is None or id[0] not in FAMILIES:
        raise SettingsError("sensors: %s is no id of a ds18b20: 16 hex digits, its CRC the last two" % sensor)
    return DS18B20(bus, id, clock)


def _dht22(kind, bus, sensor, clock, fields):
    from .dht22 import DHT22

    return DHT22(bus, sensor, clock)


def _sht(kind, bus, sensor, clock, fields):
    if kind == "sht3x":
        from .sht3x import SHT3x as Chip
    else:
        from .sht4x import SHT4x as Chip
    return Chip(bus, _address(sensor, fields, 0x44, 0x45 if kind == "sht3x" else 0x46), sensor, clock)


def _bosch(kind, bus, sensor, clock, fields):
    from .bme280 import BME280

    return BME280(bus, _address(sensor, fields, 0x76, 0x77), sensor, clock, humidity=kind == "bme280")


def _lm75(kind, bus, sensor, clock, fields):
    from . import lm75

    address = _address(sensor, fields, 0x48, 0x4B if kind == "tmp102" else 0x4F)
    if kind == "tmp102":
        return lm75.TMP102(bus, address, sensor, clock, _flag(sensor, fields, "extended", False))
    if kind in ("tmp105", "tmp75"):
        return lm75.TMP105(bus, address, sensor, clock)
    return lm75.LM75(bus, address, sensor, clock, 11 if kind == "lm75b" else 9)


def _mcp9808(kind, bus, sensor, clock, fields):
    from .mcp9808 import MCP9808

    return MCP9808(bus, _address(sensor, fields, 0x18, 0x1F), sensor, clock)


def _ntc(kind, bus, sensor, clock, fields):
    from .ntc import NTC, Beta, SteinhartHart

    if "steinhart_hart" in fields:
        abc = fields.pop("steinhart_hart")
        if not isinstance(abc, list) or len(abc) != 3 or any([type(x) not in (int, float) for x in abc]):
            raise SettingsError("sensors: %s: steinhart_hart must be a list of three numbers" % sensor)
        curve = SteinhartHart(*abc)
    else:
        curve = Beta(_positive(sensor, fields, "ohms", None), _positive(sensor, fields, "beta", None))
    return NTC(
        bus,
        sensor,
        clock,
        curve,
        _positive(sensor, fields, "series_ohms", None),
        _positive(sensor, fields, "supply_uv", 3300000),
        _flag(sensor, fields, "to_ground", True),
        _positive(sensor, fields, "ceiling_uv", 3000000),
    )


def _max31855(kind, bus, sensor, clock, fields):
    from .max31855 import MAX31855, TYPES

    letter = fields.pop("type", "K")
    if letter not in TYPES:
        raise SettingsError("sensors: %s: type must be one of %s" % (sensor, " ".join(sorted(TYPES))))
    return MAX31855(bus, sensor, clock, letter)


# kind: (name of its bus where the entry gives none, its maker)
_KINDS = {
    "ds18b20": ("onewire", _ds18b20),
    "dht22": ("dht", _dht22),
    "sht3x": ("i2c", _sht),
    "sht4x": ("i2c", _sht),
    "bme280": ("i2c", _bosch),
    "bmp280": ("i2c", _bosch),
    "tmp102": ("i2c", _lm75),
    "tmp105": ("i2c", _lm75),
    "tmp75": ("i2c", _lm75),
    "lm75": ("i2c", _lm75),
    "lm75b": ("i2c", _lm75),
    "mcp9808": ("i2c", _mcp9808),
    "ntc": ("adc", _ntc),
    "max31855": ("spi", _max31855),
}


def _address(sensor, fields, low, high):
    """The field, or else the hex digits that the id ends in, as scan() names chips, or else the chip's first."""
    address = fields.pop("address", None)
    if address is None:
        address = low
        digits = sensor.split("-")[-1]
        if "-" in sensor and len(digits) == 2 and all([c in "0123456789abcdef" for c in digits]):
            address = int(digits, 16)
    if type(address) is not int or not low <= address <= high:
        raise SettingsError("sensors: %s: address must be %d to %d (0x%02x to 0x%02x)" % (sensor, low, high, low, high))
    return address


def _flag(sensor, fields, name, default):
    value = fields.pop(name, default)
    if not isinstance(value, bool):
        raise SettingsError("sensors: %s: %s must be true or false" % (sensor, name))
    return value


def _positive(sensor, fields, name, default):
    value = fields.pop(name, default)
    if type(value) not in (int, float) or not 0 < value < 1e12:
        raise SettingsError("sensors: %s: %s must be a number above 0" % (sensor, name))
    return value
