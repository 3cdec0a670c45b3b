"""The truth beside the flash: what append returned, what was freed, what is gone for good; and what must follow."""

from thermograph.outbox import Outbox
from thermograph.reading import BACKEND_LOST, FLASH_FULL, POWER_CUT, Gap, Reading

from nor import Random

CHANNELS = [("28ff641e8216c3a1", "Cel")]
ALL = 1 << 30
_PLAIN = ("stream", "number", "flying", "freed", "most", "known", "used", "first")


class Truth:
    """Asserts that an Outbox on this Nor keeps the promise, over all its boots."""

    def __init__(self, nor, seed, channels=CHANNELS):
        self.nor = nor
        self.channels = channels
        self.random = Random(seed)
        self.stream = None
        self.kept = {}  # seq: the reading's number; of the seqs that are still held
        self.number = 0
        self.flying = None
        self.freed = 0
        self.most = 0  # the highest that was ever freed
        self.known = 0  # what this boot knows of it: the ack tells the rest
        self.used = 0  # the newest seq that anyone has seen
        self.first = 1
        self.left = []  # ranges that left the flash when the device knew that the backend had them

    def fork(self, seed):
        """The same truth, to be carried on differently."""
        other = Truth(self.nor, seed, self.channels)
        for name in _PLAIN:
            setattr(other, name, getattr(self, name))
        other.kept, other.left = dict(self.kept), list(self.left)
        return other

    def mount(self):
        outbox = Outbox(self.nor, lambda size: bytes([self.random(256) for _ in range(size)]), self.channels)
        assert self.stream in (None, outbox.stream), "a life has one stream"
        assert outbox.last >= self.used, "the newest seq fell from %d to %d" % (self.used, outbox.last)
        assert outbox.freed <= self.most, "freed to %d, but the backend never had more than %d" % (
            outbox.freed,
            self.most,
        )
        self.stream = outbox.stream
        self.moved(outbox)
        self.known = outbox.freed
        return outbox

    def append(self, outbox):
        self.number += 1
        self.flying = self.number
        seq = outbox.append(reading(self.number, self.channels))
        self.flying = None
        assert seq > self.used, "seq %d used before" % seq
        self.kept[seq] = self.number
        self.used = seq
        self.moved(outbox)

    def free(self, outbox, seq):
        outbox.free(seq)
        self.freed = self.known = seq
        self.most = max(self.most, seq)

    def moved(self, outbox):
        if outbox.first > self.first:
            last = min(outbox.first - 1, self.known)
            if last >= self.first:
                self.left.append((self.first, last))
            for seq in range(self.first, outbox.first):
                self.kept.pop(seq, None)
            self.first = outbox.first

    def verify(self, outbox, start=None):
        """Every seq from start on is a reading we know, or in a gap with the right cause; nothing is left out,
        nothing is there twice. A reading whose append was cut off may be there, or may not."""
        seq = outbox.freed + 1 if start is None else start
        number = 0
        for item in outbox.peek(seq, ALL):
            if isinstance(item, Gap):
                assert item.first == seq and item.last >= seq, item
                self._verify_gap(outbox, item)
                seq = item.last + 1
                continue
            assert item.seq == seq, "seq %d where %d belongs" % (item.seq, seq)
            assert item.reading.t > number, "doubled: seq %d is number %d" % (seq, item.reading.t)
            number = item.reading.t
            if seq in self.kept:
                assert self.kept[seq] == number, "seq %d is number %d, and was %d" % (seq, number, self.kept[seq])
            else:
                assert seq > self.used and number == self.flying, "seq %d is number %d from nowhere" % (seq, number)
                self.kept[seq] = number
                self.flying = None
            assert item.reading == reading(number, self.channels), "seq %d is changed" % seq
            seq += 1
        assert seq == outbox.last + 1, "%d of %d" % (seq, outbox.last)
        self.used = outbox.last
        self.flying = None

    def _verify_gap(self, outbox, gap):
        if gap.cause == POWER_CUT:
            assert gap.first >= outbox.first
            for seq in range(gap.first, gap.last + 1):
                assert seq not in self.kept, "%d was durable" % seq
        elif gap.cause == BACKEND_LOST:
            assert gap.last < outbox.first and gap.last <= self.most, gap
        else:
            assert gap.cause == FLASH_FULL and gap.last < outbox.first, gap
            assert gap.last <= max(0, self.used - outbox.capacity), "dropped with room left"
            for first, last in self.left:
                assert gap.last < first or gap.first > last, "the backend has %d to %d" % (first, last)


def reading(number, channels=CHANNELS):
    """A reading that its number determines; its t is its number."""
    sensor, unit = channels[number % len(channels)]
    if number % 7 == 0:
        return Reading(number, "none", sensor, unit, None, ("crc", "absent", "stuck")[number % 3])
    return Reading(number, ("ntp", "rtc")[number % 2], sensor, unit, number % 800 / 16 - 20, None)
