"""DHT22, AM2302: temperature and humidity on a wire of its own.

Datasheet: Aosong "Temperature and humidity module AM2302 Product Manual", section 7 (single-bus communication);
the same chip is sold as DHT22.

    frame   0-1 humidity, 1/10 %RH   2-3 temperature, 1/10 degree: sign in bit 15, magnitude in the others
            4 lowest byte of the sum of the others

It answers with the measurement before, and measures after the answer; and it is not to be asked twice in 2 s. So a
frame that would be old is fetched and dropped, and 2 s later its successor is read.

Some chips sold under the name send two's complement (seen in Tasmota issue 14165, Adafruit DHT-sensor-library
issue 182). Between -40 and 80 degrees no value is valid in both forms.
"""

from .driver import Driver, Fault, broken

_PERIOD = 2000  # ms between two frames
_OLD = 3 * _PERIOD  # a measurement made longer ago than this is not the present


class DHT22(Driver):
    """frame(): asks the chip and gives the 5 bytes, as dht_readinto fills them; OSError if it does not answer."""

    limits = ((-40, 80), (0, 100))

    def __init__(self, frame, sensor, clock):
        Driver.__init__(self, clock, [(sensor, "Cel"), (sensor, "%RH")])
        self._frame = frame
        self._asked_at = 0  # powered with the board, and deaf for its first 2 s

    def _start(self):
        age = self._clock.uptime() - self._asked_at
        if age < _OLD:
            return max(0, _PERIOD - age)
        self._ask()  # if this fails, the next frame may be old too: then there is no reading
        return _PERIOD

    def _measure(self):
        if self._clock.uptime() - self._asked_at < _PERIOD:
            raise Fault("timeout")  # the wait was cut short
        data = self._ask()
        if sum(data[:4]) & 0xFF != data[4] or not any(data):
            raise broken(data)
        return [(celsius_10(data[2] << 8 | data[3]) / 10, None), ((data[0] << 8 | data[1]) / 10, None)]

    def _ask(self):
        self._asked_at = self._clock.uptime()
        return self._frame()


def celsius_10(raw):
    """Tenths of a degree, of either form."""
    if raw & 0xF000 == 0xF000:
        return raw - 0x10000
    return -(raw & 0x7FFF) if raw & 0x8000 else raw
