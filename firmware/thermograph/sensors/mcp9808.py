"""MCP9808: a thermometer on I2C, at 0x18 to 0x1F.

Datasheet: Microchip DS25095A (DS20005095). Registers, 5.1; configuration, 5.1.1; temperature, 5.1.3, with
equation 5-1 and figure 5-5; identity, 5.1.4 and 5.1.5; resolution, 5.1.6.

It shows 0 degrees from power-on to the end of the first conversion. The driver sets a hysteresis of 1.5 degrees,
which is no power-on value and has no part in a reading: where it is gone, the power was too.
"""

import struct

from .driver import Fault, I2CDriver, signed

_CONFIGURATION = 0x01
_AMBIENT = 0x05
MANUFACTURER = 0x06  # 0054h
DEVICE = 0x07  # 04h, then the revision

_HYSTERESIS = 0x0600
_HYSTERESIS_1_5 = 0x0200
_SHUTDOWN = 0x0100
_CONVERSION = 300  # ms; 250 typically at 1/16 degree, the resolution at power-on


class MCP9808(I2CDriver):
    limits = ((-40, 125),)

    def __init__(self, bus, address, sensor, clock):
        I2CDriver.__init__(self, bus, address, clock, [(sensor, "Cel")])

    def _start(self):
        if self._set_up:
            return 0
        self._put(_CONFIGURATION, struct.pack(">H", _HYSTERESIS_1_5))
        self._set_up = True
        return _CONVERSION

    def _measure(self):
        config, raw = self._word(_CONFIGURATION), self._word(_AMBIENT)
        if config & (_HYSTERESIS | _SHUTDOWN) != _HYSTERESIS_1_5:
            raise Fault("power-on")
        return [(celsius(raw), None)]

    def _word(self, register):
        return struct.unpack(">H", self._get(register, 2))[0]


def celsius(raw):
    """Bits 15-13 are comparisons with the limits; below them 13 bits of 1/16 degree, two's complement."""
    return signed(raw & 0x1FFF, 13) / 16
