"""NOR flash in memory, for CPython and MicroPython: strict, counted, and cut off at any step."""


class PowerCut(Exception):
    """args: offset and size of the step that was cut off."""


class Random:
    """A generator of our own, so that one seed gives one history on both interpreters."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF

    def __call__(self, below):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) * below >> 24


# How the power goes while a program or an erase is under way. weak: at its end, when some of the cells that it
# changed read differently each time, until they are programmed again or erased.
MODES = ("before", "half", "mixed", "after", "weak")


class Nor:
    """fuse: steps (programs and erases) until the power goes, None for never; mode: how it goes. on_step(nor, offset,
    old, new) sees each step before it is done. wear: erases of each sector."""

    def __init__(self, sectors, cells=None):
        self.size = sectors * 4096
        self.cells = bytearray(cells) if cells is not None else bytearray(b"\xff" * self.size)
        self.wear = [0] * sectors
        self.steps = 0
        self.fuse = None
        self.mode = "after"
        self.random = Random(1)
        self.on_step = None
        self.rotten = False
        self.weak = {}  # offset: mask of the bits that read differently each time
        self._journal = None

    def read(self, offset, buffer):
        buffer[:] = self.cells[offset : offset + len(buffer)]
        if self.weak:
            for at, mask in self.weak.items():
                if offset <= at < offset + len(buffer):
                    buffer[at - offset] ^= mask & self.random(256)

    def program(self, offset, data):
        old = self.cells[offset : offset + len(data)]
        was, new = int.from_bytes(old, "little"), int.from_bytes(data, "little")
        assert self.rotten or new & ~was == 0, "program would have to set bits at %d" % offset
        self._step(offset, old, (was & new).to_bytes(len(data), "little"))

    def erase(self, sector):
        self.wear[sector] += 1
        self._step(sector * 4096, self.cells[sector * 4096 : sector * 4096 + 4096], b"\xff" * 4096)

    def rot(self, offset, mask):
        """These bits change by themselves; from now on a program may meet bits that it would have to set."""
        self.cells[offset] ^= mask
        self.rotten = True

    def tear(self, offset, old, new, mode):
        """Leave what the cells hold if the power goes while old becomes new."""
        self._write(offset, torn(mode, old, new, self.random))
        if mode == "weak":
            for _ in range(1 << self.random(6)):
                at = self.random(len(new))
                bit = 1 << self.random(8) & (old[at] ^ new[at])
                self.weak[offset + at] = self.weak.get(offset + at, 0) | bit

    def mark(self):
        """This state, for restore."""
        if self._journal is None:
            self._journal = []
        return len(self._journal), dict(self.weak)

    def restore(self, mark):
        """Back to the state of this mark; later ones are void."""
        size, weak = mark
        while len(self._journal) > size:
            offset, old = self._journal.pop()
            self.cells[offset : offset + len(old)] = old
        self.weak = dict(weak)

    def forget(self):
        """All marks are void."""
        self._journal = None

    def _step(self, offset, old, new):
        if self.on_step:
            self.on_step(self, offset, old, new)
        self.steps += 1
        if self.fuse == 0:
            self.tear(offset, old, new, self.mode)
            raise PowerCut(offset, len(new))
        self._write(offset, new)
        if self.fuse is not None:
            self.fuse -= 1

    def _write(self, offset, new):
        if self._journal is not None:
            self._journal.append((offset, self.cells[offset : offset + len(new)]))
        self.cells[offset : offset + len(new)] = new
        if self.weak:
            erased = len(new) == 4096
            for at in list(self.weak):
                if offset <= at < offset + len(new):
                    self.weak[at] &= 0 if erased else new[at - offset]
                    if not self.weak[at]:
                        del self.weak[at]


def torn(mode, old, new, random):
    """What the cells hold if the power goes while old becomes new."""
    if mode == "before":
        return bytes(old)
    if mode in ("after", "weak"):
        return new
    if mode == "half":
        middle = 1 + random(max(1, len(new) - 1))
        return new[:middle] + old[middle:]
    if len(new) == 4096 and random(3) == 0:
        return mix(old, bytes(4096), random)  # an erase first programs all cells, so that they age evenly
    return mix(old, new, random)


def mix(old, new, random):
    """Each bit of one or the other; the pattern repeats after 61 bytes, so that a sector takes no long time."""
    size = len(new)
    mask = (bytes([random(256) for _ in range(min(size, 61))]) * (size // 61 + 1))[:size]
    old, new, mask = [int.from_bytes(data, "little") for data in (old, new, mask)]
    return (old ^ (old ^ new) & mask).to_bytes(size, "little")
