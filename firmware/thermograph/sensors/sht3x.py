"""SHT30, SHT31, SHT35: temperature and humidity on I2C, at 0x44 or 0x45.

Datasheet: Sensirion "SHT3x-DIS", version 5, May 2018. Single shot, 4.3 and 4.4; status register, 4.11;
CRC, 4.12; conversion of the output, 4.13; times, table 4.
"""

from .sht import SHT

_SINGLE_SHOT = b"\x24\x00"  # high repeatability, the clock is not stretched
_STATUS = b"\xf3\x2d"
_DURATION = 16  # ms; 15.5 at most


class SHT3x(SHT):
    def _start(self):
        self._command(_SINGLE_SHOT)
        return _DURATION

    def _probe(self):
        self._command(_STATUS)

    def _humidity(self, raw):
        return 100 * raw / 65535


def status(bus, address):
    """The 3 bytes of the status register: who answers them with a right CRC is an SHT3x. OSError."""
    bus.writeto(address, _STATUS)
    return bus.readfrom(address, 3)
