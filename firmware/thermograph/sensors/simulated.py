"""A simulated thermometer in a simulated fridge: for the unix port, Wokwi without parts, and tests.

The bus carries three bytes, as a real sensor's would: the temperature in 1/16 degrees as int16, little endian, and
the Dallas CRC-8 over them (Maxim application note 27). So faults happen below the driver, which must find them.
"""

import math

from .crc import crc8

_DAY = 86400000
_COMPRESSOR = 2400000  # ms: cools for a third of 40 minutes, then drifts up
_POWER_ON = 85 * 16  # what a DS18B20 answers before its first conversion


class Fridge:
    """The bus: a fridge about 4 degrees Celsius. seed: two fridges of one seed are alike; faults: the share of reads
    that go wrong (0 to 1); clock: its uptime drives the curves."""

    def __init__(self, clock, seed=1, faults=0.0):
        self._clock = clock
        self._random = seed * 2654435761 & 0xFFFFFFFF
        self._faults = faults

    def transfer(self):
        """Three bytes, or None if nobody answers."""
        raw = int(self._celsius(self._clock.uptime()) * 16 + 0.5)
        fault = self._chance() < self._faults
        kind = int(self._chance() * 3) if fault else None
        if kind == 0:
            return None
        if kind == 1:
            raw = _POWER_ON
        data = bytearray((raw & 0xFF, raw >> 8 & 0xFF))
        data.append(crc8(data) ^ (0x55 if kind == 2 else 0))
        return bytes(data)

    def _celsius(self, t):
        day = math.sin(2 * math.pi * (t % _DAY) / _DAY)
        phase = (t % _COMPRESSOR) / _COMPRESSOR
        cycle = 1 - 6 * phase if phase < 1 / 3 else 3 * phase - 2
        return 4.0 + 0.4 * day + 0.5 * cycle + 0.25 * (self._chance() - 0.5)

    def _chance(self):
        """Uniform in [0, 1): a 32-bit linear congruential generator (Numerical Recipes, 7.1)."""
        self._random = (self._random * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._random >> 8) / 16777216


class Simulated:
    """The driver. channels: [(sensor, unit)]; read() gives [(value, fault)], one for each channel."""

    def __init__(self, bus, sensor):
        self._bus = bus
        self.channels = [(sensor, "Cel")]

    def start(self):
        """Nothing to wait for (driver.py)."""
        return 0

    def read(self):
        data = self._bus.transfer()
        if data is None:
            return [(None, "absent")]
        if crc8(data[:2]) != data[2]:
            return [(None, "crc")]
        raw = data[0] | data[1] << 8
        raw -= (raw & 0x8000) << 1
        if raw == _POWER_ON:
            return [(None, "power-on")]
        if not -55 * 16 <= raw <= 125 * 16:
            return [(None, "out-of-range")]
        return [(raw / 16, None)]
