"""TMP102, TMP105 and TMP75, LM75 and LM75B: thermometers on I2C with the registers of the first LM75.

Datasheets:
    TMP102   TI SBOS397, tables 5 and 6 (12 and 13 bits), extended mode, one-shot and conversion ready
    TMP105   TI SLLS648D, table 5, and "One-shot"; TMP75 is TI SBOS288M, the same registers
    LM75     9 bits: ST STLM75, 13296 Rev 12, table 3; LM75B: NXP Rev 6.1, 7.4.2 and 7.4.3, table 10, 11 bits

    register   0 temperature, left-justified, two's complement   1 configuration

They show 0 degrees from power-on to the end of the first conversion. So TI's rest and are started for each reading
(one-shot; less self-heating too), and their SD bit says that they did; the others get a fault queue of 2, which
is no power-on value and has no part in a reading.
"""

from .driver import Fault, I2CDriver, signed

_TEMPERATURE = 0
_CONFIGURATION = 1

_OS, _RESOLUTION, _SD = 0x80, 0x60, 0x01
_EXTENDED = 0x10  # in TMP102's second byte
_SECOND = 0x80  # TMP102's second byte: 4 conversions a second, which one-shot ignores
_QUEUE, _QUEUE_2 = 0x18, 0x08


class TMP102(I2CDriver):
    """extended: 13 bits, up to 150 degrees. One-shot takes 35 ms at most; OS reads 1 again when it is done."""

    limits = ((-55, 125),)
    _duration = 35

    def __init__(self, bus, address, sensor, clock, extended=False):
        I2CDriver.__init__(self, bus, address, clock, [(sensor, "Cel")])
        self._second = _SECOND | (_EXTENDED if extended else 0)
        if extended:
            self.limits = ((-55, 150),)

    def _start(self):
        # SD first: OS counts while the chip rests.
        self._put(_CONFIGURATION, bytes((_RESOLUTION | _SD, self._second)))
        self._put(_CONFIGURATION, bytes((_OS | _RESOLUTION | _SD, self._second)))
        return self._duration

    def _measure(self):
        first, second = self._get(_CONFIGURATION, 2)
        if not first & _SD or (second ^ self._second) & _EXTENDED:
            raise Fault("power-on")
        if not first & _OS:
            raise Fault("timeout")
        data = self._get(_TEMPERATURE, 2)
        return [(celsius(data, 13 if data[1] & 1 else 12), None)]  # bit 0 says which of the two forms this is


class TMP105(I2CDriver):
    """TMP75 too. Its OS bit always reads 0: that it is done is known by the time alone, 220 ms typically."""

    limits = ((-55, 125),)
    _duration = 320

    def __init__(self, bus, address, sensor, clock):
        I2CDriver.__init__(self, bus, address, clock, [(sensor, "Cel")])

    def _start(self):
        self._put(_CONFIGURATION, bytes((_RESOLUTION | _SD,)))
        self._put(_CONFIGURATION, bytes((_OS | _RESOLUTION | _SD,)))
        return self._duration

    def _measure(self):
        config = self._get(_CONFIGURATION, 1)[0]
        if config & (_RESOLUTION | _SD) != _RESOLUTION | _SD:
            raise Fault("power-on")
        return [(celsius(self._get(_TEMPERATURE, 2), 12), None)]


class LM75(I2CDriver):
    """bits: 9 (LM75), 11 (NXP's LM75A and LM75B). Converts all the time, within 300 ms."""

    limits = ((-55, 125),)
    _duration = 300

    def __init__(self, bus, address, sensor, clock, bits=9):
        I2CDriver.__init__(self, bus, address, clock, [(sensor, "Cel")])
        self._bits = bits

    def _start(self):
        if self._set_up:
            return 0
        self._put(_CONFIGURATION, bytes((_QUEUE_2,)))
        self._set_up = True
        return self._duration

    def _measure(self):
        config = self._get(_CONFIGURATION, 1)[0]
        if config & (_QUEUE | _SD) != _QUEUE_2:
            raise Fault("power-on")
        return [(celsius(self._get(_TEMPERATURE, 2), self._bits), None)]


def celsius(data, bits):
    """Degrees of the temperature register. 13 bits mean 1/16, as 12 do, with one more on the left."""
    raw = signed((data[0] << 8 | data[1]) >> (16 - bits), bits)
    return raw / (1 << min(bits, 12) - 8)
