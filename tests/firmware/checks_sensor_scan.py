"""Which chips answer, and the drivers of settings; on CPython and on MicroPython."""

from thermograph.errors import SettingsError
from thermograph.sensors.scan import build, kinds, scan
from thermograph.sensors.sht import sensirion

from sensor_buses import (
    I2C,
    Bosch,
    Clock,
    OneShot,
    Random,
    Sensirion,
    Thermometer,
    Wire,
    Words,
    rom_of,
)
from sensor_noise import NoisyI2C, NoisyWire

ROM = "28ff641e8216c328"


def answer(*words):
    data = b""
    for word in words:
        pair = bytes((word >> 8, word & 0xFF))
        data += pair + bytes([sensirion(pair)])
    return data


def board():
    clock = Clock()
    sht3x = {b"\x24\x00": answer(0x6666, 0x8000), b"\xf3\x2d": answer(0x8010)}
    sht4x = {b"\xfd": answer(0x6666, 0x8000), b"\x89": answer(0x1234, 0x5678)}
    chips = {
        0x18: Words({1: b"\x00\x00", 5: b"\x01\x94", 6: b"\x00\x54", 7: b"\x04\x00"}),
        0x19: Words({1: b"\x00\x00", 5: b"\x01\x94", 6: b"\x00\x55", 7: b"\x04\x00"}),
        0x44: Sensirion(clock, b"\xfd", 8, sht4x),
        0x45: Sensirion(clock, b"\x24\x00", 15, sht3x),
        0x48: OneShot(clock, b"\x19\x00"),
        0x4A: Words({0: b"\x19\x00", 1: b"\x00"}),
        0x3C: Words({}),  # a display
        0x76: Bosch(clock, 0x60, {0x88: b"\x70\x6b" * 13}, b"\x65\x5a\xc0\x7e\xed\x00\x71\x48"),
        0x77: Bosch(clock, 0x58, {0x88: b"\x70\x6b" * 13}, b"\x65\x5a\xc0\x7e\xed\x00\x71\x48"),
    }
    wire = Wire(Thermometer(clock, bytes.fromhex(ROM)), Thermometer(clock, rom_of("10000000000001")))
    return {"i2c": I2C(chips), "onewire": wire, "dht": lambda: bytes(5), "adc": object()}, clock


def check_scan():
    buses, clock = board()
    found = scan(buses, clock)
    assert [(one.bus, one.address, one.kinds[:1], one.confirmed) for one in found] == [
        ("i2c", 0x18, ("mcp9808",), True),
        ("i2c", 0x19, (), False),
        ("i2c", 0x3C, (), False),
        ("i2c", 0x44, ("sht4x",), True),
        ("i2c", 0x45, ("sht3x",), True),
        ("i2c", 0x48, ("tmp102",), False),
        ("i2c", 0x4A, ("lm75",), False),
        ("i2c", 0x76, ("bme280",), True),
        ("i2c", 0x77, ("bmp280",), True),
        ("onewire", rom_of("10000000000001").hex(), (), False),
        ("onewire", ROM, ("ds18b20",), True),
    ]
    assert not buses["i2c"].chips[0x44].heated
    assert found[5].kinds == ("tmp102", "tmp105", "lm75b", "lm75")
    assert found[6].kinds == ("lm75", "lm75b", "tmp105")


def check_what_is_found_can_be_built_and_read():
    buses, clock = board()
    names = []
    for one in scan(buses, clock):
        assert (one.entry is None) == (not one.kinds)
        if one.entry:
            driver = build(one.entry, buses, clock)
            names.append(driver.channels[0][0])
            assert len(driver.read()) == len(driver.channels)
    assert names == [
        "mcp9808-18", "sht4x-44", "sht3x-45", "tmp102-48", "lm75-4a", "bme280-76", "bmp280-77", ROM,
    ]  # fmt: skip


def check_ids_on_a_second_bus_differ():
    buses, clock = board()
    ids = [one.entry["id"] for one in scan({"i2c": buses["i2c"], "i2c1": buses["i2c"]}, clock) if one.entry]
    assert len(set(ids)) == len(ids) == 14
    assert "bme280-i2c1-76" in ids


def check_scan_of_noise_and_of_nothing():
    clock = Clock()
    assert scan({}, clock) == []
    assert scan({"i2c": I2C({}), "onewire": Wire()}, clock) == []
    hanging = I2C({})
    hanging.scan = lambda: (_ for _ in ()).throw(OSError(110))
    assert scan({"i2c": hanging}, clock) == []
    random = Random(2)
    for _ in range(5):
        for one in scan({"i2c": NoisyI2C(random), "onewire": NoisyWire(random)}, clock):
            assert (one.entry is None) == (not one.kinds)


ENTRIES = (
    {"kind": "ds18b20", "id": ROM},
    {"kind": "dht22", "id": "cellar"},
    {"kind": "sht3x", "id": "hall"},
    {"kind": "sht3x", "id": "sht3x-45"},
    {"kind": "sht3x", "id": "house-face"},
    {"kind": "sht3x", "id": "house-zz"},
    {"kind": "sht3x", "id": "house-4"},
    {"kind": "sht4x", "id": "attic", "address": 0x46},
    {"kind": "bme280", "id": "bme280-77"},
    {"kind": "bmp280", "id": "yard", "address": 0x77},
    {"kind": "tmp102", "id": "tmp102-4b", "extended": True},
    {"kind": "tmp105", "id": "tmp105-4f"},
    {"kind": "tmp75", "id": "rack"},
    {"kind": "lm75", "id": "lm75-48"},
    {"kind": "lm75b", "id": "lm75b-i2c-48"},
    {"kind": "mcp9808", "id": "mcp9808-1f"},
    {"kind": "ntc", "id": "boiler", "series_ohms": 10000, "ohms": 10000, "beta": 3950},
    {"kind": "ntc", "id": "tank", "series_ohms": 4700, "steinhart_hart": [1.1e-3, 2.3e-4, 8.8e-8], "to_ground": False},
    {"kind": "max31855", "id": "oven", "type": "J"},
)


def check_every_kind_is_built_from_settings():
    clock = Clock()
    buses = dict([(name, object()) for name in ("i2c", "onewire", "dht", "adc", "spi", "other")])
    for entry in ENTRIES:
        driver = build(entry, buses, clock)
        assert driver.channels[0][0] == entry["id"]
        assert len(driver.limits) >= len(driver.channels)
        build(dict(entry, bus="other"), buses, clock)
        name = type(driver).__name__.lower()
        assert name in entry["kind"] or {"bmp280": "bme280", "tmp75": "tmp105"}[entry["kind"]] == name
    assert sorted(set([entry["kind"] for entry in ENTRIES])) == kinds()


def check_limits_are_the_datasheets():
    """What each chip is specified for: the range in its datasheet's table of characteristics."""
    humid = (0, 100)
    limits = {
        "ds18b20": [(-55, 125)],
        "dht22": [(-40, 80), humid],
        "sht3x": [(-40, 125), humid],
        "sht4x": [(-40, 125), humid],
        "bme280": [(-40, 85), (30000, 110000), humid],
        "bmp280": [(-40, 85), (30000, 110000)],
        "mcp9808": [(-40, 125)],
        "ntc": [(-55, 150)],
        "max31855": [(-40, 750), (-55, 125)],
    }
    buses = dict([(name, object()) for name in ("i2c", "onewire", "dht", "adc", "spi")])
    for entry in ENTRIES:
        driver = build(entry, buses, Clock())
        usual = [(-55, 150)] if entry.get("extended") else [(-55, 125)]
        assert list(driver.limits[: len(driver.channels)]) == limits.get(entry["kind"], usual), entry
    types = {"K": (-200, 1350), "J": (-40, 750), "N": (-200, 1300), "T": (-250, 400), "E": (-40, 900)}
    types["R"], types["S"] = (-50, 1770), (-50, 1600)
    for letter in types:
        driver = build({"kind": "max31855", "id": "oven", "type": letter}, buses, Clock())
        assert driver.limits[0] == types[letter]
    assert build({"kind": "max31855", "id": "oven"}, buses, Clock()).limits[0] == types["K"]


def check_variants_are_built_as_what_they_are():
    clock = Clock()
    for kind, celsius in (
        ("lm75", 25.5),
        ("lm75b", 25.625),
        ("tmp105", 25.6875),
        ("tmp75", 25.6875),
        ("tmp102", 25.6875),
    ):
        simple = kind[0] == "l"
        chip = Words({0: b"\x19\xb0", 1: b"\x00"}) if simple else OneShot(clock, b"\x19\xb0", kind == "tmp102")
        driver = build({"kind": kind, "id": kind + "-4a"}, {"i2c": I2C({0x4A: chip})}, clock)
        assert driver.read() == [(celsius, None)], kind
    chip = OneShot(clock, b"\x0c\xd9")
    driver = build({"kind": "tmp102", "id": "a", "address": 0x4A, "extended": True}, {"i2c": I2C({0x4A: chip})}, clock)
    assert driver.read() == [(25.6875, None)]

    class ADC:
        def read_uv(self):
            return 1320000  # 2/5 of 3.3 V: 20/3 kilo-ohm to ground

    entry = {"kind": "ntc", "id": "a", "series_ohms": 10000, "ohms": 20000 / 3, "beta": 3950}
    assert abs(build(entry, {"adc": ADC()}, clock).read()[0][0] - 25) < 0.001
    entry = dict(entry, to_ground=False, ohms=15000)
    assert abs(build(entry, {"adc": ADC()}, clock).read()[0][0] - 25) < 0.001
    assert build(dict(entry, ceiling_uv=1310000), {"adc": ADC()}, clock).read() == [(None, "out-of-range")]
    assert build(dict(entry, supply_uv=1320001), {"adc": ADC()}, clock).read() == [(None, "out-of-range")]


def check_guesses_where_there_is_no_identity():
    guesses = (
        (0x4B, b"\x60\xa0", "tmp102"),
        (0x48, b"\xe1\x80", "tmp102"),  # as the driver leaves it
        (0x4C, b"\x60\xa0", "tmp105"),  # no TMP102 goes there
        (0x48, b"\x61", "tmp105"),
        (0x48, b"\x60\x60", "tmp105"),
        (0x48, b"\x60\x61", "tmp105"),
        (0x4F, b"\x00", "lm75"),
        (0x48, b"\x08", "lm75"),
    )
    for address, config, kind in guesses:
        found = scan({"i2c": I2C({address: Words({0: b"\x19\x00", 1: config})})}, Clock())
        assert (found[0].kinds[0], found[0].confirmed) == (kind, False), (address, config, found)


def check_addresses_at_the_ends():
    for kind, low, high in (
        ("mcp9808", 0x18, 0x1F), ("sht3x", 0x44, 0x45), ("sht4x", 0x44, 0x46), ("tmp102", 0x48, 0x4B),
        ("tmp105", 0x48, 0x4F), ("lm75", 0x48, 0x4F), ("bme280", 0x76, 0x77),
    ):  # fmt: skip
        for address in range(0x08, 0x78):
            try:
                build({"kind": kind, "id": "a", "address": address}, {"i2c": None}, Clock())
            except SettingsError:
                assert not low <= address <= high, (kind, address)
            else:
                assert low <= address <= high, (kind, address)
    chip = {6: b"\x00\x54", 7: b"\x04\x00"}
    for address in range(0x08, 0x78):
        found = scan({"i2c": I2C({address: Words(chip)})}, Clock())[0]
        assert (found.kinds == ("mcp9808",)) == (0x18 <= address <= 0x1F), address


def check_wrong_settings_name_the_field():
    clock = Clock()
    buses = dict([(name, object()) for name in ("i2c", "onewire", "dht", "adc", "spi")])
    cases = (
        ({"kind": "ds18b21", "id": "a"}, "ds18b21"),
        ({"id": "a"}, "None"),
        ({"kind": "dht22"}, "id"),
        ({"kind": "dht22", "id": "a", "bus": "dht7"}, "dht7"),
        ({"kind": "dht22", "id": "a", "pin": 4}, "pin"),
        ({"kind": "ds18b20", "id": "28ff641e8216c329"}, "28ff641e8216c329"),
        ({"kind": "ds18b20", "id": rom_of("10000000000001").hex()}, "ds18b20"),
        ({"kind": "sht3x", "id": "a", "address": 0x46}, "address"),
        ({"kind": "sht3x", "id": "sht3x-46"}, "address"),
        ({"kind": "bme280", "id": "a", "address": "0x76"}, "address"),
        ({"kind": "bme280", "id": "a", "address": True}, "address"),
        ({"kind": "tmp102", "id": "a", "extended": 1}, "extended"),
        ({"kind": "tmp105", "id": "a", "extended": True}, "extended"),
        ({"kind": "ntc", "id": "a", "series_ohms": 1}, "ohms"),
        ({"kind": "ntc", "id": "a", "ohms": 1, "beta": 1}, "series_ohms"),
        ({"kind": "ntc", "id": "a", "ohms": 1, "beta": 1, "series_ohms": -1}, "series_ohms"),
        ({"kind": "ntc", "id": "a", "ohms": float("nan"), "beta": 1, "series_ohms": 1}, "ohms"),
        ({"kind": "ntc", "id": "a", "steinhart_hart": [1, 2], "series_ohms": 1}, "steinhart_hart"),
        ({"kind": "max31855", "id": "a", "type": "B"}, "type"),
    )
    for entry, word in cases:
        try:
            build(entry, buses, clock)
        except SettingsError as error:
            assert word in str(error), (entry, error)
        else:
            raise AssertionError(entry)
