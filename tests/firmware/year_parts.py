"""What year.py's device is made of, and the far side: flash, sensor, the truth about what was sampled, a backend."""

from array import array

from backend.coverage import Coverage
from backend.errors import MessageRejected
from backend.reading import Parser, State, Status, Telemetry
from thermograph.outbox import Outbox

import virtual
from nor import Random, torn
from virtual import STREAM, PowerGone

NAN = float("nan")
TOPIC = b"thermograph/v1/fridge-1/"
ROOM = 4096  # seqs by which the arrays grow


class Flash:
    """NOR flash in memory, as nor.Nor, but fast; fuse: steps until the power goes."""

    def __init__(self, sectors, seed):
        self.size = sectors * 4096
        self.cells = bytearray(b"\xff" * self.size)
        self.fuse = None
        self.mode = "after"
        self.random = Random(seed)

    def read(self, offset, buffer):
        buffer[:] = self.cells[offset : offset + len(buffer)]

    def program(self, offset, data):
        old = self.cells[offset : offset + len(data)]
        wanted = int.from_bytes(data, "little")
        assert int.from_bytes(old, "little") & wanted == wanted, "program would have to set bits"
        self._write(offset, old, data)

    def erase(self, sector):
        offset = sector * 4096
        self._write(offset, self.cells[offset : offset + 4096], b"\xff" * 4096)

    def _write(self, offset, old, new):
        if self.fuse is None:
            self.cells[offset : offset + len(new)] = new
        elif self.fuse > 0:
            self.fuse -= 1
            self.cells[offset : offset + len(new)] = new
        else:
            self.fuse = None
            self.cells[offset : offset + len(new)] = torn(self.mode, bytes(old), bytes(new), self.random)
            raise PowerGone


def grow(seq, *arrays):
    """Room for this seq, and many more; zeros."""
    for each in arrays:
        size = seq + ROOM - len(each)
        each.extend(bytes(size) if isinstance(each, bytearray) else array(each.typecode, bytes(size * each.itemsize)))


class Truth:
    """What was really sampled, by seq: value (float32; NaN is a fault), true time, and whether append returned."""

    def __init__(self):
        self.value = array("f")
        self.time = array("q")
        self.told = array("q")  # the time that the device gave; -1 where it had no clock
        self.kept = bytearray()
        self.newest = 0

    def note(self, seq, now, reading):
        if seq >= len(self.kept):
            grow(seq, self.kept, self.value, self.time, self.told)
        assert not self.kept[seq], f"seq {seq} is used twice"
        self.newest = seq
        self.value[seq] = NAN if reading.value is None else reading.value
        self.time[seq] = now
        self.told[seq] = -1 if reading.quality == "none" else reading.t


class Witness(Outbox):
    """The real Outbox, watched."""

    def __init__(self, flash, channels, truth, world):
        self._truth, self._world = truth, world
        Outbox.__init__(self, flash, lambda size: STREAM, channels)

    def append(self, reading):
        self._truth.note(self.last + 1, self._world.now, reading)
        seq = Outbox.append(self, reading)
        if seq != self._truth.newest:
            self._truth.note(seq, self._world.now, reading)  # it took the next slot: the first was burnt
        self._truth.kept[seq] = 1
        return seq


class Thermometer:
    """Two steps of so many ms; one in fifty reads is a fault, one in eight uses each bit of a float32."""

    channels = [("28ff641e8216c3a1", "Cel")]  # noqa: RUF012  as a driver has it

    def __init__(self, chance, ready):
        self._chance = chance
        self._ready = ready

    def start(self):
        return self._ready

    def read(self):
        number = self._chance(1 << 24)
        if number % 50 == 0:
            return [(None, "crc")]
        return [(number / (1 << 18) if number % 8 == 0 else number % 600000 / 10000, None)]


class Link(virtual.Link):
    """Asks neither before it listens nor when a wait is over, for the Node does so itself in the same instant: more
    than half of all asking in a year. What it says to that bounds the ms for which it listens."""

    def listen(self, ms):
        if not self._broker.pending:
            self._world.pass_by(ms or 1)
        return virtual.Link.listen(self, 0)

    def _wait(self, ms):
        world, broker = self._world, self._broker
        end = world.now + ms
        while world.now < end and not broker.pending:
            world.pass_by(min(self._on_wait(), end - world.now) or 1)


class Heard:
    """A message as ingest's Parser takes it."""

    cut_from = 0

    def __init__(self, leaf, payload, received):
        self.topic = TOPIC + leaf.encode()
        self.payload = payload
        self.received = received


class Backend:
    """Reads, keeps the books, acks: what ingest does, by ingest's own rules. asleep: messages stay in the broker.

    stored, value (float32; NaN is a fault), time and estimated are by seq."""

    def __init__(self, world, broker):
        self._world, self._broker = world, broker
        self._parser = Parser()
        self.coverage = Coverage([], 0)
        self.stored = bytearray()
        self.value = array("f")
        self.time = array("q")
        self.estimated = bytearray()
        self.queue = []
        self.asleep = False
        self.states = 0
        self.backups = [(0, [])]

    def publish(self, leaf, payload):
        """The broker has acknowledged it: that promises nothing."""
        self.queue.append(Heard(leaf, payload, self._world.now))
        if not self.asleep:
            self.wake()

    def wake(self):
        self.asleep = False
        acked = False
        for heard in self.queue:
            heard.received = self._world.now  # by ingest: it was the broker that waited
        for message in self._parser.understand(self.queue):
            if isinstance(message, MessageRejected):
                raise message
            if isinstance(message, (State, Status)):
                self.states += isinstance(message, State)
                continue
            self.store(message)
            acked = True
        self.queue.clear()
        if acked:
            self.ack()

    def ack(self):
        ack = b'{"stream":"9f3a1c02","seq":%d}' % self.coverage.position
        self._broker.send("ack", ack, retain=True)

    def store(self, message):
        if not isinstance(message, Telemetry):
            self.coverage.claim(message.first, message.last, message.cause)
        elif self.coverage.extend(message.first, message.last):
            self._keep(message, message.first, message.last)
        else:
            for first, last in self.coverage.claim(message.first, message.last):
                self._keep(message, first, last)

    def _keep(self, message, first, last):
        if last >= len(self.stored):
            grow(last, self.stored, self.value, self.time, self.estimated)
        estimated = message.tq == "estimated"
        for seq, row in enumerate(message.rows[first - message.first : last - message.first + 1], first):
            assert not self.stored[seq], f"seq {seq} is stored twice"
            self.stored[seq] = 1
            self.value[seq] = NAN if row.value is None else row.value
            self.time[seq] = message.start + row.dt
            self.estimated[seq] = estimated

    def back_up(self):
        self.backups.append((self.coverage.position, list(self.coverage.runs)))

    def restore(self):
        """From the newest backup: what came after it is forgotten."""
        position, runs = self.backups[-1]
        self.coverage = Coverage([run for run in runs if run.first <= position], position)
        for flags in (self.stored, self.estimated):
            flags[position + 1 :] = bytes(max(0, len(flags) - position - 1))
        self.ack()
