"""Buses that answer anything, for the drivers' checks. Runs on MicroPython too."""

from errno import ENODEV, ETIMEDOUT

from sensor_buses import maxim_crc


class NoisyI2C:
    """Any bytes, any refusal."""

    def __init__(self, random):
        self._random = random

    def _fail(self):
        kind = self._random.below(20)
        if kind < 3:
            raise OSError((ENODEV, ETIMEDOUT, 5)[kind])

    def writeto(self, address, data):
        self._fail()

    def writeto_mem(self, address, register, data):
        self._fail()

    def readfrom(self, address, size):
        self._fail()
        kind = self._random.below(8)
        return (b"\x00" * size, b"\xff" * size)[kind] if kind < 2 else self._random.bytes(size)

    def readfrom_mem(self, address, register, size):
        return self.readfrom(address, size)

    def scan(self):
        self._fail()
        return list(range(8, 0x78))


class NoisyWire:
    def __init__(self, random):
        self._random = random
        self._silence = 0

    def reset(self, required=False):
        self._silence = self._random.below(8)
        return self._random.below(10) > 0

    def writebyte(self, byte):
        pass

    def writebit(self, bit):
        pass

    def readbit(self):
        return self._random.below(2)

    def readinto(self, buffer):
        for at in range(len(buffer)):
            buffer[at] = (0, 255)[self._silence] if self._silence < 2 else self._random.below(256)
        if self._silence > 4:  # with a right CRC: it is the values that are wild
            buffer[8] = maxim_crc(buffer[:8])
