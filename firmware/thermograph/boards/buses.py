"""The ESP32's buses, each made when a sensor needs it, and the sensors on them. Loaded at a start, then let go."""

import json

import machine
from machine import Pin

from ..sector import CHANNEL_LIMIT
from ..sensors import scan

FOUND = "found.json"
_I2C_HERTZ = 100000
_SPI_HERTZ = 1000000


def sensors(entries, pins, clock, files, say):
    """Drivers of the settings' entries; of those that answer or ever answered, where the settings name none: a sensor
    that fell off is reported absent, and not forgotten. say(text): the console. SettingsError."""
    buses = Buses(pins)
    if not entries:
        entries = _found(buses, clock, files, say)
    return [scan.build(entry, buses, clock) for entry in entries]


def _found(buses, clock, files, say):
    known = _remembered(files)
    wired = {name: buses[name] for name in ("onewire", "i2c")}
    names = [entry["id"] for entry in known]
    new = [found for found in scan.scan(wired, clock) if found.entry is not None and found.entry["id"] not in names]
    for text in [scan.doubt(found) for found in new]:
        if text:
            say("%s %s" % (clock.text(), text))
    fresh = [found.entry for found in new]
    entries = (known + fresh)[: CHANNEL_LIMIT // 3]  # a chip has up to three channels
    if fresh:
        try:
            files.write(FOUND, json.dumps(entries))
        except OSError:
            pass  # they are found again at the next start
    return entries


def _remembered(files):
    try:
        entries = json.loads(files.read(FOUND) or "[]")
        return [entry for entry in entries if isinstance(entry["id"], str) and isinstance(entry["kind"], str)]
    except (ValueError, TypeError, KeyError, RuntimeError):
        return []


class Buses:
    """A mapping: name -> bus, as sensors/scan.py wants it."""

    def __init__(self, pins):
        self._pins = pins
        self._made = {}
        self._makers = {"onewire": _onewire, "dht": _dht, "i2c": _i2c, "adc": _adc, "spi": _spi}

    def __contains__(self, name):
        return name in self._makers

    def __getitem__(self, name):
        if name not in self._made:
            self._made[name] = self._makers[name](self._pins)
        return self._made[name]


def _onewire(pins):
    import onewire

    return onewire.OneWire(Pin(pins["onewire"], Pin.OPEN_DRAIN, Pin.PULL_UP))


def _dht(pins):
    from .dht_pin import DhtPin

    return DhtPin(Pin(pins["dht"], Pin.IN, Pin.PULL_UP))


def _i2c(pins):
    return machine.I2C(0, scl=Pin(pins["scl"]), sda=Pin(pins["sda"]), freq=_I2C_HERTZ)


def _adc(pins):
    return machine.ADC(Pin(pins["adc"]), atten=machine.ADC.ATTN_11DB)


def _spi(pins):
    from ..sensors.max31855 import Selected

    bus = machine.SPI(2, baudrate=_SPI_HERTZ, sck=Pin(pins["sck"]), miso=Pin(pins["miso"]))
    return Selected(bus, Pin(pins["cs"], Pin.OUT, value=1))
