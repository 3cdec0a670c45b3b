"""DS18B20, and DS1822 and MAX31820, which differ in accuracy: thermometers on a 1-Wire bus, many on one.

Datasheet: Maxim "DS18B20 Programmable Resolution 1-Wire Digital Thermometer", 19-7487, Rev 6, 7/19.
    Table 1, temperature/data relationship; Table 2, conversion time; Figure 9, scratchpad memory map;
    Table 3, function commands. CRC: application note 27.

    scratchpad   0-1 temperature, 1/16 degree, two's complement   2 TH   3 TL   4 configuration
                 5 reserved, FFh   6 reserved   7 reserved, 10h   8 CRC of the others

85 degrees is what the temperature register holds from power-on to the end of the first conversion; a chip that
browns out while it converts shows it, with a valid CRC. Three things tell it from 85 real degrees:

1. TH and TL. The driver writes a mark there, into the scratchpad and never into EEPROM, and a chip that
   starts anew recalls its EEPROM. Mark gone: the power was gone, whatever the temperature says. That also finds clones
   that start with 25 degrees (family D), and costs one reading that may have been good.
2. Byte 6, once "count remain". In Maxim's chips it is 0Ch at power-on, and 10h less the temperature's lowest 4 bits
   after a conversion, so 10h at 85 degrees. Clones keep 0Ch, or what was written last.
   (C. Petrich, github.com/cpetrich/counterfeit_DS18B20: measured on some 500 probes.)
3. Another temperature has been there since the mark was written. The register cannot go back to its start.

If all three are silent it is power-on: at worst a clone that is at 85.0 degrees from its first reading on waits
until it is at another. 127.94 degrees (07FFh), Maxim's answer to a conversion that failed, is out of range.
"""

from binascii import hexlify

from .driver import Driver, Fault, broken, crc8, signed

FAMILIES = (0x28, 0x22)  # first byte of the id

_MATCH_ROM = 0x55
_CONVERT_T = 0x44
_READ_SCRATCHPAD = 0xBE
_WRITE_SCRATCHPAD = 0x4E

_TH, _TL, _CONFIGURATION, _REMAIN = 2, 3, 4, 6
_MARK = b"\x54\x47"  # in TH and TL; no clone is known to start with it
_TWELVE_BITS = 0x7F
_CONVERSION = 750  # ms, 12 bits
_POWER_ON = 85 * 16
_REMAIN_AT_85 = 0x10  # after a conversion
_TRIES = 2  # the chip keeps its scratchpad: what was disturbed on the wire is asked for again


class DS18B20(Driver):
    """id: 8 bytes. bus: reset(), writebyte(), readinto(), as MicroPython's onewire.OneWire. The chip needs its
    supply pin: nobody holds the line up while a parasitic one converts."""

    limits = ((-55, 125),)

    def __init__(self, bus, id, clock):
        Driver.__init__(self, clock, [(hexlify(id).decode(), "Cel")])
        self._bus = bus
        self._id = id
        self._marked = False
        self._moved = False  # since the mark, the register has held what is not its start

    def _start(self):
        if not self._set_up:
            self._mark()
            self._set_up = True
        self._command(_CONVERT_T)
        return _CONVERSION

    def _measure(self):
        pad = self._scratchpad()
        raw = celsius_16(pad)
        if self._marked and not _has_mark(pad):
            raise Fault("power-on")
        if raw != _POWER_ON:
            self._moved = True
        elif not self._moved and pad[_REMAIN] != _REMAIN_AT_85:
            raise Fault("power-on")
        return [(raw / 16, None)]

    def _mark(self):
        """Leave the mark, and look whether the chip takes it."""
        self._command(_WRITE_SCRATCHPAD)
        for byte in _MARK:
            self._bus.writebyte(byte)
        self._bus.writebyte(_TWELVE_BITS)
        self._marked = _has_mark(self._scratchpad())
        self._moved = False

    def _scratchpad(self):
        pad = bytearray(9)
        for _ in range(_TRIES):
            self._command(_READ_SCRATCHPAD)
            self._bus.readinto(pad)
            if crc8(pad) == 0 and any(pad):
                return pad
        raise broken(pad)

    def _command(self, function):
        if not self._bus.reset():
            raise Fault("absent")
        self._bus.writebyte(_MATCH_ROM)
        for byte in self._id:
            self._bus.writebyte(byte)
        self._bus.writebyte(function)


def celsius_16(pad):
    """Sixteenths of a degree. At 9 to 11 bits the lowest are undefined."""
    undefined = 3 - (pad[_CONFIGURATION] >> 5 & 3)
    return signed(pad[1] << 8 | pad[0], 16) >> undefined << undefined


def _has_mark(pad):
    return pad[_TH] == _MARK[0] and pad[_TL] == _MARK[1]
