"""SHT40, SHT41, SHT45: temperature and humidity on I2C, at 0x44, 0x45 or 0x46.

Datasheet: Sensirion "SHT4x", version 6, 2023. CRC, 4.4; commands, 4.5; conversion of the signal, 4.6; times,
table 4.
"""

from .sht import SHT

_MEASURE = b"\xfd"  # high precision
_SERIAL = b"\x89"
_DURATION = 9  # ms; 8.3 at most


class SHT4x(SHT):
    def _start(self):
        self._command(_MEASURE)
        return _DURATION

    def _probe(self):
        self._command(_SERIAL)

    def _humidity(self, raw):
        """4.6: the line runs from -6 to 119 %RH; what is beyond the physical is cropped."""
        return min(100, max(0, -6 + 125 * raw / 65535))


def serial(bus, address, pause):
    """The 6 bytes of the serial number: who answers them with right CRCs is an SHT4x. OSError."""
    bus.writeto(address, _SERIAL)
    pause(1)
    return bus.readfrom(address, 6)
