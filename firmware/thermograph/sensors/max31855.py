"""MAX31855: a thermocouple on SPI, read only; and the temperature of the chip, its reference junction.

Datasheet: Maxim 19-5793, Rev 5, 1/15. Memory map, tables 2 and 3; thermocouple data, table 4; reference junction,
table 5; ranges of the types, table 1; conversion, 100 ms at most, all the time.

    31-18 thermocouple, 1/4 degree   17 zero   16 fault   15-4 chip, 1/16 degree   3 zero
    2 short to VCC   1 short to GND   0 open; two's complement

No checksum: the zeros and the fault bit, which is the or of the last three, are all that can be checked. All zeros
would be a valid 0.00 and 0.0000, and are what a line without a chip reads: they are taken for the latter.
"""

from .driver import OPEN, SHORT, Driver, Fault, signed

# letter of the part: range of its thermocouple
TYPES = {
    "K": (-200, 1350),
    "J": (-40, 750),
    "N": (-200, 1300),
    "T": (-250, 400),
    "E": (-40, 900),
    "R": (-50, 1770),
    "S": (-50, 1600),
}

_OPEN, _TO_GROUND, _TO_SUPPLY = 1, 2, 4


class MAX31855(Driver):
    """bus: readinto(buffer), with the chip selected while it runs (Selected). Channels: thermocouple, chip."""

    def __init__(self, bus, sensor, clock, type="K"):
        Driver.__init__(self, clock, [(sensor, "Cel"), (sensor + "-chip", "Cel")])
        self.limits = (TYPES[type], (-55, 125))
        self._bus = bus

    def _measure(self):
        data = bytearray(4)
        self._bus.readinto(data)
        high, low = data[0] << 8 | data[1], data[2] << 8 | data[3]
        if high == low and high in (0, 0xFFFF):
            raise Fault("absent")
        wires = low & (_OPEN | _TO_GROUND | _TO_SUPPLY)
        if high & 2 or low & 8 or bool(high & 1) != bool(wires):
            raise Fault("crc")
        chip = (signed(low >> 4, 12) / 16, None)
        if wires:
            return [(None, OPEN if wires & _OPEN else SHORT), chip]
        return [(signed(high >> 2, 14) / 4, None), chip]


class Selected:
    """An SPI bus with one chip's select line, a pin: pin(0) selects."""

    def __init__(self, spi, pin):
        self._spi = spi
        self._pin = pin
        pin(1)

    def readinto(self, buffer):
        self._pin(0)
        try:
            self._spi.readinto(buffer)
        finally:
            self._pin(1)
