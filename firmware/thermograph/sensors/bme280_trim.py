"""The trimming parameters of a BME280 or BMP280, each chip's own. Read when it is set up; the module is let go then.

Datasheet: as bme280.py has it; 4.2.2, table 16.
"""

import struct

from .driver import Fault

_CALIB_T_P = 0x88  # dig_T1 to dig_P9, 24 bytes
_CALIB_H1 = 0xA1
_CALIB_H2 = 0xE1  # dig_H2 to dig_H6, 7 bytes
_STATUS = 0xF3
_COPYING = 0x01  # in status: the trimming parameters are not there yet
_POWER_UP = 4  # ms; 2 at most (1.1, "start-up time")


def read_trim(get, pause, humidity):
    """Twice: they have no checksum, and a disturbed one would shift every reading from now on. get(register, size),
    pause(ms). Fault."""
    for _ in range(_POWER_UP):
        if not get(_STATUS, 1)[0] & _COPYING:
            break
        pause(1)
    else:
        raise Fault("power-on")
    trims = []
    for _ in range(2):
        data = get(_CALIB_T_P, 24)
        if humidity:
            data += get(_CALIB_H1, 1) + get(_CALIB_H2, 7)
        trims.append(bytes(data))
    if trims[0] != trims[1]:
        raise Fault("crc")
    return unpack_trim(trims[0])


def unpack_trim(data):
    """T1 to T3, P1 to P9, H1 to H6 of registers 88h-9Fh, A1h, E1h-E7h (table 16). H4 and H5 share E5h."""
    trim = struct.unpack("<HhhHhhhhhhhh", data[:24])
    if len(data) == 24:
        return trim
    h1, h2, h3, e4, e5, e6, h6 = struct.unpack("<BhBbBbb", data[24:])
    humidity = (h1, h2, h3, e4 << 4 | e5 & 0x0F, e6 << 4 | e5 >> 4, h6)
    return trim + humidity
