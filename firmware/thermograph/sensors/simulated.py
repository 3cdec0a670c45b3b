"""A simulated thermometer in a simulated fridge: for the unix port, Wokwi without parts, and tests.

The bus carries three bytes, as a real sensor's would: the temperature in 1/16 degrees as int16, little endian, and
the Dallas CRC-8 over them (Maxim application note 27). So faults happen below the driver, which must find them.
"""

import math

from .driver import crc8

_DAY = 86400000
_COMPRESSOR = 2400000  # ms: cools for a third of 40 minutes, then drifts up
_POWER_ON = 85 * 16  # what a DS18B20 answers before its first conversion
_VISITS = 2700000  # ms: in half of these spans somebody opens the door, in the first half of the span
_OPEN = 40000  # ms that it stands open; 4 degrees warmer then
_RECOVERY = 300000  # ms: time constant of the cooling after that
_KINDS = ("absent", "power-on", "crc")


class Fridge:
    """The bus: a fridge about 4 degrees Celsius. seed: two fridges of one seed are alike; faults: the share of reads
    that go wrong (0 to 1); clock: its uptime drives the curves; drive(): a mapping with what somebody outside wants,
    of `celsius` (instead of the curves), `add` (degrees) and `fault` (on the bus: absent, power-on, crc)."""

    def __init__(self, clock, seed=1, faults=0.0, drive=dict):
        self._clock = clock
        self._seed = self._random = seed * 2654435761 & 0xFFFFFFFF
        self._faults = faults
        self._drive = drive

    def transfer(self):
        """Three bytes, or None if nobody answers."""
        drive = self._drive()
        celsius = self._celsius(self._clock.uptime())
        raw = math.floor((drive.get("celsius", celsius) + drive.get("add", 0)) * 16 + 0.5)
        fault = self._chance() < self._faults
        kind = _KINDS[int(self._chance() * 3)] if fault else drive.get("fault")
        if kind == "absent":
            return None
        if kind == "power-on":
            raw = _POWER_ON
        data = bytearray((raw & 0xFF, raw >> 8 & 0xFF))
        data.append(crc8(data) ^ (0x55 if kind == "crc" else 0))
        return bytes(data)

    def _celsius(self, t):
        t += self._seed % _COMPRESSOR  # two fridges do not cool at the same time
        day = math.sin(2 * math.pi * (t % _DAY) / _DAY)
        phase = (t % _COMPRESSOR) / _COMPRESSOR
        cycle = 1 - 6 * phase if phase < 1 / 3 else 3 * phase - 2
        return 4.0 + 0.4 * day + 0.5 * cycle + self._door(t) + 0.25 * (self._chance() - 0.5)

    def _door(self, t):
        """Degrees that the last visit has left."""
        visit, since = divmod(t, _VISITS)
        chance = ((self._seed + visit * 2246822519) * 2654435761 >> 7) % _VISITS
        since -= chance
        if chance >= _VISITS // 2 or since < 0:
            return 0
        return 4.0 * min(1, since / _OPEN) * math.exp(-max(0, since - _OPEN) / _RECOVERY)

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
