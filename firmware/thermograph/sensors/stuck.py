"""Stuck: does a noisy chip repeat itself? A frozen chip, or a bus that replays its last answer, gives valid values.

The rule: bits as the chip gave them, the same at 30 readings in a row that span an hour. It is for chips
whose lowest bits are noise by their datasheet (BME280, SHT3x, SHT4x): there two equal readings are common, thirty
are not to be expected in the life of a device. It is off for coarse ones (DS18B20, LM75, MCP9808, MAX31855, DHT22):
a good fridge holds 1/16 degree for hours. The first other reading ends it.
"""

READINGS = 30
SPAN = 3600000  # ms


class Stuck:
    def __init__(self, clock):
        self._clock = clock
        self._raw = None
        self._count = 0
        self._since = 0

    def seen(self, raw):
        """Take the next reading's bits; True if they have been the same for too long."""
        now = self._clock.uptime()
        if raw != self._raw:
            self._raw, self._count, self._since = raw, 0, now
        self._count += 1
        return self._count >= READINGS and now - self._since >= SPAN
