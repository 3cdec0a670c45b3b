"""What must be true of the Outbox, on CPython and on MicroPython. Each check is a function of no arguments."""

from thermograph.outbox import Outbox
from thermograph.reading import BACKEND_LOST, FLASH_CORRUPT, FLASH_FULL, POWER_CUT, Gap, Reading

from nor import MODES, Nor, PowerCut, Random, torn

CHANNELS = [("28ff641e8216c3a1", "Cel")]


class World:
    """The truth beside the flash: what append returned, what was freed, what is dropped for good."""

    def __init__(self, nor, seed):
        self.nor = nor
        self.random = Random(seed)
        self.seed = seed
        self.stream = None
        self.kept = {}  # seq: t, which is the reading's number
        self.number = 0
        self.flying = None
        self.freed = 0
        self.known = 0  # what this boot knows of it: the ack tells the rest
        self.used = 0  # the newest seq that anyone has seen
        self.first = 1
        self.left = []  # ranges that left the flash when the device knew that the backend had them

    def mount(self):
        def entropy(size):
            return bytes([self.random(256) for _ in range(size)])

        outbox = Outbox(self.nor, entropy, CHANNELS)
        if self.kept:
            assert outbox.stream == self.stream, "a life has one stream"
        self.stream = outbox.stream
        self.moved(outbox)
        self.known = outbox.freed
        return outbox

    def append(self, outbox):
        self.number += 1
        self.flying = self.number
        seq = outbox.append(reading(self.number))
        self.flying = None
        assert seq > self.used, "seq %d used before" % seq
        self.kept[seq] = self.number
        self.used = seq
        self.moved(outbox)

    def free(self, outbox, seq):
        outbox.free(seq)
        self.freed = self.known = seq

    def moved(self, outbox):
        if outbox.first > self.first:
            last = min(outbox.first - 1, self.known)
            if last >= self.first:
                self.left.append((self.first, last))
            self.first = outbox.first

    def verify(self, outbox, start=None):
        """Every seq from start on is a reading we know, or in a gap with the right cause; nothing is left out."""
        seq = outbox.freed + 1 if start is None else start
        assert outbox.last >= self.used, "the newest seq fell from %d to %d" % (self.used, outbox.last)
        for item in outbox.peek(seq, 1 << 30):
            if isinstance(item, Gap):
                assert item.first == seq and item.last >= seq, item
                self._verify_gap(outbox, item)
                seq = item.last + 1
                continue
            assert item.seq == seq, (item, seq)
            if seq in self.kept:
                assert self.kept[seq] == item.reading.t, item
            else:
                assert seq > self.used and item.reading.t == self.flying, item
            assert item.reading == reading(item.reading.t)
            seq += 1
        assert seq == outbox.last + 1, "%d of %d" % (seq, outbox.last)
        if outbox.last > self.used:
            for item in outbox.peek(self.used + 1, 9):
                if not isinstance(item, Gap):
                    self.kept[item.seq] = item.reading.t
        self.used = outbox.last
        self.flying = None

    def _verify_gap(self, outbox, gap):
        if gap.cause == POWER_CUT:
            assert gap.first >= outbox.first
            for seq in range(gap.first, gap.last + 1):
                assert seq not in self.kept, "%d was durable" % seq
        else:
            assert gap.cause == FLASH_FULL and gap.last < outbox.first, gap
            assert gap.last <= max(0, self.used - outbox.capacity), "dropped with room left"
            for first, last in self.left:
                assert gap.last < first or gap.first > last, "the backend has %d to %d" % (first, last)


def reading(number):
    """A reading that its number determines; its t is its number."""
    if number % 7 == 0:
        return Reading(number, "none", "28ff641e8216c3a1", "Cel", None, ("crc", "absent", "stuck")[number % 3])
    return Reading(number, ("ntp", "rtc")[number % 2], "28ff641e8216c3a1", "Cel", number % 800 / 16 - 20, None)


def filled(sectors, count):
    world = World(Nor(sectors), 1)
    outbox = world.mount()
    for _ in range(count):
        world.append(outbox)
    return world, outbox


def check_first_seq_is_one_and_all_come_back():
    world, outbox = filled(4, 3)
    assert sorted(world.kept) == [1, 2, 3] and outbox.depth == 3 and outbox.first == 1
    world.verify(outbox)
    world.verify(world.mount())


def check_boot_numbers_grow_and_mark_their_readings():
    world, outbox = filled(4, 2)
    for boot in (2, 3):
        outbox = world.mount()
        assert outbox.boot == boot
        world.append(outbox)
    assert [item.boot for item in outbox.peek(1, 9)] == [1, 1, 2, 3]


def check_seq_goes_on_when_everything_is_freed():
    world, outbox = filled(3, 600)
    world.free(outbox, outbox.last)
    assert outbox.depth == 0 and list(outbox.peek(outbox.last + 1, 9)) == []
    outbox = world.mount()
    world.append(outbox)
    assert world.used == 601


def check_peek_gives_a_window():
    world, outbox = filled(4, 600)
    assert [item.seq for item in outbox.peek(249, 4)] == [249, 250, 251, 252]
    assert [item.seq for item in outbox.peek(3, 1)] == [3]


def check_full_ring_drops_the_oldest_and_says_so():
    world, outbox = filled(4, 3000)
    assert outbox.last == 3000 and outbox.first > 2000
    first, second = list(outbox.peek(1, 2))
    assert first == Gap(1, outbox.first - 1, FLASH_FULL) and second.seq == outbox.first
    world.verify(outbox)
    outbox = world.mount()
    world.verify(outbox)
    world.free(outbox, outbox.first - 1)
    assert next(outbox.peek(outbox.freed + 1, 1)).seq == outbox.first


def check_a_backend_that_forgets_is_served_what_is_held():
    world, outbox = filled(4, 3000)
    world.free(outbox, 2999)
    outbox.free(500)
    gap, kept = list(outbox.peek(501, 2))
    assert gap == Gap(501, outbox.first - 1, BACKEND_LOST) and kept.seq == outbox.first


def check_forgotten_and_dropped_are_told_apart():
    world, outbox = filled(4, 400)
    outbox.free(300)
    for _ in range(2000):
        world.append(outbox)
    outbox.free(100)
    lost, full = list(outbox.peek(101, 2))
    assert lost == Gap(101, 300, BACKEND_LOST) and full == Gap(301, outbox.first - 1, FLASH_FULL)


def check_a_rotten_record_is_a_gap():
    world, outbox = filled(4, 300)
    at = position(world.nor, 17)
    world.nor.cells[at + 3] ^= 0x10
    for mounted in (outbox, world.mount()):
        items = list(mounted.peek(16, 3))
        assert items[1] == Gap(17, 17, FLASH_CORRUPT) and items[2].seq == 18, items


def check_a_rotten_header_costs_nothing_and_two_never_reuse_a_seq():
    for copies in (1, 2):
        world, outbox = filled(5, 600)
        for copy in range(copies):
            world.nor.cells[4096 * 2 + copy * 32 + 9] ^= 1  # counter 2: the second sector of seqs
        outbox = world.mount()
        items = list(outbox.peek(1, 1000))
        assert outbox.last == 600
        if copies == 1:
            world.verify(outbox)
        else:
            assert items[250] == Gap(251, 500, FLASH_CORRUPT) and items[251].seq == 501


def check_a_bad_cell_burns_its_seq_and_keeps_the_reading():
    world, outbox = filled(4, 5)
    program = world.nor.program

    def bad_once(offset, data):
        world.nor.program = program
        program(offset, bytes(16))

    world.nor.program = bad_once
    assert outbox.append(reading(6)) == 7
    assert next(outbox.peek(6, 2)) == Gap(6, 6, FLASH_CORRUPT)


def check_a_flash_that_refuses_is_one_error_and_burns_nothing():
    from thermograph.errors import FlashError

    world, outbox = filled(4, 5)
    program = world.nor.program

    def refuse(offset, data):
        raise OSError(5)

    world.nor.program = refuse
    try:
        outbox.append(reading(6))
        raise AssertionError("kept without flash")
    except FlashError:
        pass
    world.nor.program = program
    assert outbox.append(reading(6)) == 6


def check_a_new_channel_opens_a_sector_and_old_readings_keep_theirs():
    world, outbox = filled(4, 5)
    other = Reading(6, "ntp", "dht22", "%RH", 61.5, None)
    assert outbox.append(other) == 6 and outbox.append(reading(8)) == 7
    outbox = world.mount()
    items = list(outbox.peek(5, 9))
    assert [item.reading.sensor for item in items] == ["28ff641e8216c3a1", "dht22", "28ff641e8216c3a1"]
    assert items[1].reading == other


def check_wear_is_even():
    world, outbox = filled(6, 6 * 250 * 3)
    assert max(world.nor.wear) - min(world.nor.wear) <= 1, world.nor.wear


def check_cut_at_steps_of_one_turn(stride=3, sectors=3, count=800):
    """The power goes at a step, in each way; then, while that is mended, once more. Counts the cuts."""
    world = World(Nor(sectors), 5)
    cuts = [0]

    def on_step(offset, old, new):
        near = len(new) > 16 or world.nor.steps % stride == 0 or world.number % 250 < 3
        for mode in MODES if near else ():
            image = Nor(sectors, world.nor.cells)
            image.cells[offset : offset + len(new)] = torn(mode, old, new, world.random)
            cuts[0] += 1 + recover(world, image)

    outbox = world.mount()
    world.nor.on_step = on_step
    for number in range(count):
        world.append(outbox)
        if number % 90 == 0:
            world.free(outbox, world.random(outbox.last + 1))
    return cuts[0]


def recover(world, image):
    """Mount a torn image and append; then the same with the power cut at each step of that; the count of those cuts."""
    trial = World(image, world.seed + 1)
    trial.stream, trial.kept, trial.number, trial.flying = world.stream, dict(world.kept), world.number, world.flying
    trial.freed, trial.known, trial.used, trial.first = world.freed, world.known, world.used, world.first
    trial.left = list(world.left)
    cells = bytes(image.cells)
    cuts = 0
    outbox = trial.mount()
    trial.verify(outbox, max(outbox.freed + 1, trial.used - 5) if world.number % 9 else None)
    before = (dict(trial.kept), trial.used, trial.first, list(trial.left))
    while True:
        image.cells[:] = cells
        image.fuse, image.mode = cuts, MODES[(cuts + world.number) % 4]
        trial.kept, trial.used, trial.first, trial.left = dict(before[0]), before[1], before[2], list(before[3])
        try:
            trial.append(trial.mount())
            return cuts
        except PowerCut:
            cuts += 1
            image.fuse = None
            outbox = trial.mount()
            trial.verify(outbox, max(outbox.freed + 1, trial.used - 5))
            trial.append(outbox)


def check_lives_with_random_cuts(seeds=3, cuts=60, sectors=4):
    """Long lives of many boots; each boot ends by a cut somewhere, a mount's own steps included. Counts the cuts."""
    for seed in range(seeds):
        world = World(Nor(sectors), seed + 77)
        for cut in range(cuts):
            world.nor.fuse = world.random((3, 60, 700)[world.random(3)])
            world.nor.mode = MODES[world.random(4)]
            try:
                outbox = world.mount()
                while True:
                    world.append(outbox)
                    if world.random(40) == 0:
                        world.free(outbox, min(outbox.last, world.freed + world.random(80)))
            except PowerCut:
                world.nor.fuse = None
            outbox = world.mount()
            world.verify(outbox)
            assert outbox.boot <= 1 + cut * 2 + 2
    return seeds * cuts


def position(nor, seq):
    """Where the record of a seq of the first sector (counter 1) lies."""
    return 4096 + (nor.cells[4096 + 3] + seq - 1) * 16
