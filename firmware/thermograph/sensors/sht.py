"""What SHT3x and SHT4x share: two words with a CRC each, temperature and humidity.

Datasheets: see sht3x.py and sht4x.py."""

from .driver import Fault, I2CDriver, broken


class SHT(I2CDriver):
    limits = ((-40, 125), (0, 100))
    noisy = True

    def __init__(self, bus, address, sensor, clock):
        I2CDriver.__init__(self, bus, address, clock, [(sensor, "Cel"), (sensor, "%RH")])

    def _command(self, code):
        self._bus.writeto(self._address, code)

    def _measure(self):
        try:
            data = self._bus.readfrom(self._address, 6)
        except OSError:
            # No measurement ready, or no chip: both refuse their address. Another command tells them apart.
            self._probe()
            raise Fault("timeout")
        raws = self._raws = words(data)
        return [(-45 + 175 * raws[0] / 65535, None), (self._humidity(raws[1]), None)]

    def _probe(self):
        """OSError if there is no chip."""
        raise NotImplementedError

    def _humidity(self, raw):
        raise NotImplementedError


def words(data):
    """The 16-bit words of an answer; Fault if a CRC is wrong."""
    result = []
    for at in range(0, len(data), 3):
        if sensirion(data[at : at + 2]) != data[at + 2]:
            raise broken(data)
        result.append(data[at] << 8 | data[at + 1])
    return result


def sensirion(data):
    """Sensirion CRC-8: x^8 + x^5 + x^4 + 1, from 0xFF (SHT3x datasheet, 4.12; of 0xBEEF it is 0x92)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 & 0xFF ^ (0x31 if crc & 0x80 else 0)
    return crc
