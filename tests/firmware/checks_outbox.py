"""What must be true of the Outbox, on CPython and on MicroPython. Each check is a function of no arguments."""

from thermograph.reading import BACKEND_LOST, FLASH_CORRUPT, FLASH_FULL, Gap, Reading

from crash import Life
from nor import Nor, PowerCut
from truth import Truth, reading


def filled(sectors, count):
    world = Truth(Nor(sectors), 1)
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


def check_a_record_in_another_place_is_none():
    world, outbox = filled(4, 10)
    at = position(world.nor, 4)
    world.nor.cells[at : at + 16] = world.nor.cells[at + 16 : at + 32]
    assert next(outbox.peek(4, 2)) == Gap(4, 4, FLASH_CORRUPT)


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
            assert items[249] == Gap(250, 498, FLASH_CORRUPT) and items[250].seq == 499


def check_the_newest_header_rots_and_no_seq_is_used_again():
    """Both copies, and what that sector holds is lost: it is named, with some more, and nothing takes its seqs."""
    for count in (250, 251, 400, 498):
        world, outbox = filled(4, count)
        for copy in (0, 32):
            world.nor.rot(2 * 4096 + copy + 9, 1)
        outbox = world.mount()
        assert outbox.append(reading(count + 1)) > count
        items = list(outbox.peek(1, 1000))
        assert [item.seq for item in items[:249]] == list(range(1, 250))
        assert items[249].cause == FLASH_CORRUPT and items[249].first == 250 and items[249].last >= count
        assert items[250].seq == items[249].last + 1 == outbox.last and len(items) == 251
        assert list(world.mount().peek(1, 1000)) == items


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


def check_an_erase_that_was_cut_off_is_done_again():
    """It may read blank, and have cells that do not stay so."""
    world, outbox = filled(3, 249)
    world.nor.fuse, world.nor.mode = 0, "after"
    try:
        world.append(outbox)
        raise AssertionError("no erase")
    except PowerCut:
        world.nor.fuse = None
    outbox = world.mount()
    world.append(outbox)
    assert world.nor.wear == [0, 1, 2], world.nor.wear


def check_a_new_channel_opens_a_sector_and_old_readings_keep_theirs():
    world, outbox = filled(4, 5)
    other = Reading(6, "ntp", "dht22", "%RH", 61.5, None)
    assert outbox.append(other) == 6 and outbox.append(reading(8)) == 7
    outbox = world.mount()
    items = list(outbox.peek(5, 9))
    assert [item.reading.sensor for item in items] == ["28ff641e8216c3a1", "dht22", "28ff641e8216c3a1"]
    assert items[1].reading == other


def check_wear_is_even():
    world, outbox = filled(6, 6 * 249 * 3)
    assert max(world.nor.wear) - min(world.nor.wear) <= 1, world.nor.wear


def check_lives_with_cuts_at_each_step(seeds=1, steps=12, first=1):
    """Short lives, cut off at each step in each way, and in the mending (crash.py); the count of the cuts."""
    cuts = 0
    for seed in range(first, first + seeds):
        life = Life(seed)
        try:
            life.run(steps)
        except AssertionError:
            print("cut", life.name)
            raise
        cuts += sum(life.counts.values())
    return cuts


def check_a_life_on_a_flash_of_full_size():
    """1 MiB, written all over once, around the next rotation."""
    life = Life(7, full=True)
    outbox = life.truth.mount()
    while outbox.last % 249 < 245:
        life.truth.append(outbox)
    try:
        life.run(14)
    except AssertionError:
        print("cut", life.name)
        raise
    assert sum(life.counts.values()) >= 100 and ("erase", "mixed", 0) in life.counts, life.counts


def position(nor, seq):
    """Where the record of a seq of the first sector (counter 1) lies."""
    return 4096 + (nor.cells[4096 + 3] + seq - 1) * 16
