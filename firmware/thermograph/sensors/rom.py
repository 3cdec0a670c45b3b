"""1-Wire ROM search: the ids of all chips on a bus (Maxim application note 187, "1-Wire Search Algorithm").

bus: reset(), writebyte(), readbit(), writebit(), as MicroPython's onewire.OneWire has them. Its own scan() does
not check the ids' CRC: one disturbed bit would be a chip that is not there.
"""

from .driver import crc8

SEARCH = 0xF0
_TRIES = 3
_LIMIT = 64  # chips; a bus that answers at random ends too


def search(bus):
    """[8 bytes], in the order of the search."""
    found = []
    rom, branch = bytes(8), 64
    while branch >= 0 and len(found) < _LIMIT:
        for _ in range(_TRIES):
            answer, after = _walk(bus, rom, branch)
            if answer is not None and crc8(answer) == 0 and any(answer):
                break
        else:
            return found
        found.append(answer)
        rom, branch = answer, after
    return found


def name(rom):
    """28ff641e8216c3a1."""
    return "".join(["%02x" % byte for byte in rom])


def parse(text):
    """The 8 bytes of a name, or None if it is none, its CRC included."""
    if len(text) != 16 or any(c not in "0123456789abcdef" for c in text):
        return None
    rom = bytes([int(text[at : at + 2], 16) for at in range(0, 16, 2)])
    return None if crc8(rom) else rom


def _walk(bus, last, branch):
    """One way from the root to a chip: (id, the deepest bit where 0 was taken and 1 is left, or -1), or (None, -1).

    Up to bit `branch` the way is the last one's; there it turns to 1; below it takes 0 first."""
    if not bus.reset():
        return None, -1
    bus.writebyte(SEARCH)
    rom, left = bytearray(8), -1
    for at in range(64):
        bit, inverse = bus.readbit(), bus.readbit()
        if bit and inverse:
            return None, -1  # nobody is left: the chip was unplugged on the way
        if bit == inverse:  # chips of both kinds
            bit = at == branch or (at < branch and last[at >> 3] >> (at & 7) & 1)
            if not bit:
                left = at
        bit = 1 if bit else 0
        rom[at >> 3] |= bit << (at & 7)
        bus.writebit(bit)
    return bytes(rom), left
