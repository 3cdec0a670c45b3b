"""Lives of an Outbox in which the power is cut at each step, in each way; on CPython and on MicroPython.

A cut has a name, by which it is made again: LIFE.STEP.MODE, and for cuts while that is being mended, one more
.STEP.MODE each. LIFE is a seed: it gives the flash's shape and all that happens. STEP counts programs and erases,
in a mending from its start on.
"""

from binascii import crc32

from nor import MODES, Nor, PowerCut, Random
from truth import CHANNELS, Truth

MENDINGS = 3  # cuts in a row, each in the mending of the last
KINDS = ("record", "table", "header", "seal", "erase")
_WINDOW = 300  # seqs looked at where sectors hold many


class Life:
    """From blank flash on: append, free, reboot, forget, and now and then a cut that the life goes on with.

    On its way each step is cut off in each mode, as if that were all that happened: mounted, verified, lived on
    with, and put back. only: the name of one cut, then nothing else is tried. full: 256 sectors, all written.
    counts: {(kind, mode, depth): cuts}; name: the cut under trial."""

    def __init__(self, seed, only=None, full=False):
        self.seed = seed
        self.counts = {}
        self.name = "%d" % seed
        self.only = [int(word) if word.isdigit() else word for word in only.split(".")][1:] if only else []
        self.random = random = Random(salt(self.name))  # neighbours of a linear generator begin alike
        sectors = 256 if full else 3 + random(4)
        self.records = 249 if full or random(20) == 0 else 6 + random(26)
        self.nor = Nor(sectors)
        self.truth = Truth(self.nor, seed + 1, CHANNELS if self.records == 249 else wide(self.records))
        self._outage = random(2) == 0
        if full:
            self._fill()
        elif random(4):
            outbox = self.truth.mount()
            for _ in range(random(3 * outbox.capacity)):
                self.truth.append(outbox)
                self._hear(outbox)

    def _fill(self):
        """Write all of the flash once. Only the newest are looked at later, and each fork copies what is known."""
        truth = self.truth
        outbox = truth.mount()
        for _ in range(outbox.capacity + self.random(1000)):
            truth.append(outbox)
        truth.free(outbox, outbox.last - 2000)
        truth.kept = {seq: truth.kept[seq] for seq in range(outbox.last - 4 * _WINDOW, outbox.last + 1)}

    def run(self, steps):
        """Live for so many steps of flash; an AssertionError if the promise is broken."""
        nor, truth, random = self.nor, self.truth, self.random
        end = nor.steps + steps
        while nor.steps < end:
            nor.on_step = self._on_step
            nor.random = Random(random(1 << 24))
            nor.fuse = random(3 * self.records)
            nor.mode = MODES[random(len(MODES))]
            try:
                outbox = truth.mount()
                self._verify(truth, outbox)
                while nor.steps < end and random(80):
                    truth.append(outbox)
                    self._hear(outbox)
            except PowerCut:
                pass
            nor.on_step = nor.fuse = None

    def _hear(self, outbox):
        """What comes from the backend: acks, with outages in which the ring fills; seldom that it has forgotten."""
        truth, random = self.truth, self.random
        if random(80) == 0:
            self._outage = not self._outage
        if self._outage:
            return
        if random(12) == 0:
            truth.free(outbox, truth.freed + random(outbox.last + 1 - truth.freed))
        elif random(300) == 0:
            truth.free(outbox, random(truth.freed + 1))

    def _on_step(self, nor, offset, old, new):
        if self.only and self.only[0] != nor.steps:
            return
        life = nor.on_step, nor.fuse, nor.mode, nor.steps, nor.random
        step, nor.on_step, nor.fuse = nor.steps, None, None
        mark = nor.mark()
        for mode in [self.only[1]] if self.only else MODES:
            self.name = "%d.%d.%s" % (self.seed, step, mode)
            nor.random = Random(salt(self.name))
            nor.tear(offset, old, new, mode)
            self._count(offset, len(new), mode, 0)
            self._mend(self.truth, 1, self.only[2:])
            nor.restore(mark)
        nor.forget()
        self.name = "%d" % self.seed
        nor.on_step, nor.fuse, nor.mode, nor.steps, nor.random = life

    def _mend(self, before, depth, only):
        """Mount and live on; then from the same flash once more, cut off at one of its first steps."""
        nor, name = self.nor, self.name
        mark = nor.mark()
        nor.random = Random(salt(name))  # weak cells read the same both times, so that the steps are the same
        dice = Random(salt(name) ^ 1)
        steps = self._live_on(before.fork(salt(name)), dice)
        nor.restore(mark)
        if only:
            step, mode = only[:2]
        elif depth > MENDINGS or dice(2):
            return
        else:
            step, mode = dice(steps), MODES[dice(len(MODES))]
        self.name = "%s.%d.%s" % (name, step, mode)
        nor.random, nor.fuse, nor.mode = Random(salt(name)), step, mode
        truth = before.fork(salt(name))
        try:
            outbox = truth.mount()
            self._verify(truth, outbox, 9)
            truth.append(outbox)
            raise ValueError("%s: there is no such step" % self.name)
        except PowerCut as cut:
            nor.fuse = None
            self._count(cut.args[0], cut.args[1], mode, depth)
        self._mend(truth, depth + 1, only[2:])
        nor.restore(mark)

    def _live_on(self, truth, dice):
        """The number of steps until the first reading is kept."""
        nor = self.nor
        start = nor.steps
        outbox = truth.mount()
        self._verify(truth, outbox)
        truth.append(outbox)
        steps = nor.steps - start
        for _ in range(dice(4) if dice(8) else self.records):
            truth.append(outbox)
        self._verify(truth, truth.mount() if dice(2) else outbox, None if dice(2) else 2 * self.records)
        return steps

    def _verify(self, truth, outbox, window=None):
        """All that the backend lacks, or even all that is held; or only the newest."""
        start = outbox.freed + 1 if truth.number % 2 else min(outbox.freed + 1, outbox.first)
        if window or self.records == 249:
            start = max(start, truth.used - (window or _WINDOW))
        truth.verify(outbox, start)

    def _count(self, offset, size, mode, depth):
        kind = "erase" if size == 4096 else {0: "header", 64: "table", 4080: "seal"}.get(offset % 4096, "record")
        key = kind, mode, depth
        self.counts[key] = self.counts.get(key, 0) + 1


def wide(records):
    """3 channels with names so long that a sector holds no more than so many records."""
    size = (255 - records) * 16 - 64 - 6 - 2
    return [(str(number) * (size // 3 - 4), "Cel") for number in range(3)]


def salt(name):
    return crc32(name.encode())
