"""NOR flash in memory, for CPython and MicroPython: strict, counted, and cut off at any step."""


class PowerCut(Exception):
    pass


class Random:
    """A generator of our own, so that one seed gives one history on both interpreters."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF

    def __call__(self, below):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) * below >> 24


MODES = ("before", "half", "mixed", "after")


class Nor:
    """fuse: steps (programs and erases) until the power goes, None for never; mode: how it goes."""

    def __init__(self, sectors, cells=None):
        self.size = sectors * 4096
        self.cells = bytearray(cells) if cells is not None else bytearray(b"\xff" * self.size)
        self.wear = [0] * sectors
        self.steps = 0
        self.fuse = None
        self.mode = "after"
        self.random = Random(1)
        self.on_step = None

    def read(self, offset, buffer):
        buffer[:] = self.cells[offset : offset + len(buffer)]

    def program(self, offset, data):
        old = self.cells[offset : offset + len(data)]
        for was, now in zip(old, data):
            assert was & now == now, "program would have to set bits at %d" % offset
        self._step(offset, old, bytes(data))

    def erase(self, sector):
        self.wear[sector] += 1
        self._step(sector * 4096, self.cells[sector * 4096 : sector * 4096 + 4096], b"\xff" * 4096)

    def _step(self, offset, old, new):
        if self.on_step:
            self.on_step(offset, old, new)
        self.steps += 1
        cut = self.fuse is not None and self.fuse <= 0
        self.cells[offset : offset + len(new)] = torn(self.mode, old, new, self.random) if cut else new
        if cut:
            raise PowerCut()
        if self.fuse is not None:
            self.fuse -= 1


def torn(mode, old, new, random):
    """What the cells hold if the power goes while old becomes new."""
    if mode == "before":
        return old
    if mode == "after":
        return new
    if mode == "half":
        middle = 1 + random(max(1, len(new) - 1))
        return new[:middle] + old[middle:]
    mixed = bytearray(old)
    for at in range(len(mixed)):
        mask = random(256)
        mixed[at] = (old[at] & ~mask | new[at] & mask) & 0xFF
    return bytes(mixed)
