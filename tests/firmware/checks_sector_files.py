"""Files as the Outbox's flash, on CPython's file system and on MicroPython's littlefs. Each check is a function of no
arguments."""

import os
import sys

from thermograph.boards import choose_flash
from thermograph.boards.sector_files import SectorFiles
from thermograph.errors import FlashError
from thermograph.outbox import Outbox
from thermograph.reading import FLASH_FULL, Gap

import folder_flash
from esp32_bench import folder, remove
from nor import MODES, Nor, PowerCut, Random
from truth import Truth, reading

LITTLEFS = sys.implementation.name == "micropython"
SIZE = 1 << 20
if LITTLEFS:
    import lfs_disk


class Place:
    """A file system: of littlefs on MicroPython, with blocks of 4096 bytes; else a folder."""

    def __init__(self, blocks=512):
        self.device = lfs_disk.make(blocks) if LITTLEFS else None
        self.path = lfs_disk.mount(self.device) if LITTLEFS else folder("files")

    def again(self):
        """The power was off."""
        if LITTLEFS:
            lfs_disk.power_off()
            self.device = lfs_disk.Device(self.device.blocks, self.device.cells)
            lfs_disk.mount(self.device)

    def gone(self):
        if LITTLEFS:
            lfs_disk.power_off()
        else:
            remove(self.path)


def quiet(text):
    pass


def chosen(place, size=SIZE):
    return choose_flash.choose(place.path, None, size, quiet)


def refused(call):
    try:
        call()
    except (OSError, FlashError):
        return True
    return False


def old_folder(place, sectors, count, freed=0):
    """What 5a0d225 leaves on a board that took so many readings: a folder of files. Their Truth."""
    truth = Truth(Nor(sectors), 5)
    outbox = truth.mount()
    for _ in range(count):
        truth.append(outbox)
        if outbox.last == freed:
            truth.free(outbox, freed)
    cells = truth.nor.cells
    folder_restore(place.path + "/outbox", {"%d" % at: cells[at * 4096 : at * 4096 + 4096] for at in range(sectors)})
    return truth


def continued(truth, flash):
    """The Outbox on another flash, with all of the Truth: stream, seqs, boot, freed position, readings."""
    if truth.nor is not flash and hasattr(truth.nor, "close"):
        truth.nor.close()
    truth.nor = flash
    outbox = truth.mount()
    truth.verify(outbox)
    return outbox


def check_files_are_nor_flash():
    """Programs of all sizes anywhere, erases and reads, beside a Nor that gets the same; opened anew now and then."""
    place, nor, random = Place(), Nor(20), Random(3)
    nor.rotten = True  # it may be asked to set bits, and does not
    flash = choose_flash.make(place.path, 20)
    for number in range(600):
        sector, size = random(20) if number % 3 else 4, 1 + random(80)
        at = sector * 4096 + random(4096 - size)
        kind = random(40)
        if kind == 0:
            nor.erase(sector)
            flash.erase(sector)
        elif kind == 1:
            flash.close()
            flash = SectorFiles(place.path, 20)
        elif kind < 20:
            data = bytes([random(256) for _ in range(size)])
            nor.program(at, data)
            flash.program(at, data)
        else:
            found, true = bytearray(size), bytearray(size)
            flash.read(at, found)
            nor.read(at, true)
            assert found == true, "%d bytes at %d" % (size, at)
    flash.close()
    place.gone()


def check_an_outbox_in_files_goes_round_and_is_found_again():
    place = Place()
    truth = Truth(chosen(place), 1)
    outbox = truth.mount()
    assert outbox.capacity == 14 * 249
    for number in range(9000):
        truth.append(outbox)
        if number % 1500 == 0:
            truth.verify(outbox)
            outbox = continued(truth, chosen(place))
    assert next(outbox.peek(1, 1)) == Gap(1, outbox.first - 1, FLASH_FULL)
    assert sorted(os.listdir(place.path)) == ["outbox-16-%d" % number for number in range(4)]
    truth.nor.close()
    place.gone()


def check_settings_and_room_bound_it():
    place = Place(40)
    assert chosen(place, 5 * 4096).size == 5 * 4096
    assert chosen(place).size == 5 * 4096, "it stays what it is"
    place.gone()
    if LITTLEFS:
        place = Place(24)
        assert 8 * 4096 <= chosen(place).size <= 11 * 4096
        place.gone()
        place = Place(7)
        assert refused(lambda: chosen(place)) and os.listdir(place.path) == []
        place.gone()


def check_a_full_disk_is_an_error_and_loses_nothing():
    """Nothing is freed to make room: each append fails, what is held stays, and with room again it goes on."""
    if not LITTLEFS:
        return
    place = Place(48)
    truth = Truth(chosen(place), 1)
    outbox = truth.mount()
    filling = open(place.path + "/filling", "wb")  # noqa: SIM115
    errors = 0
    for number in range(3000):
        if number == 700:
            while not refused(lambda: (filling.write(b"f" * 4000), filling.flush())):
                pass
        try:
            truth.append(outbox)
        except FlashError:
            errors += 1
            truth.flying = None
        if errors == 5:
            break
    assert errors == 5 and outbox.last >= 700
    truth.verify(outbox)
    place.again()
    outbox = continued(truth, chosen(place))
    os.remove(place.path + "/filling")
    for _ in range(600):
        truth.append(outbox)
    truth.verify(outbox)
    truth.nor.close()
    place.gone()


def check_power_cuts_at_all_times_lose_nothing(lives=6, cuts=60):
    """littlefs over torn programs and erases: the power goes within appends, rotations, mounts and mendings."""
    if not LITTLEFS:
        return
    for seed in range(lives):
        random = Random(seed * 7919)
        place = Place(40)
        truth = Truth(None, seed)
        seen = 0
        for _ in range(cuts):
            place.device.mode = MODES[random(len(MODES) - 1)]
            place.device.fuse = random(5000 if random(3) else 60)
            place.device.random = Random(random(1 << 24))
            try:
                outbox = continued(truth, chosen(place, (3 + seed) * 4096))
                while True:
                    truth.append(outbox)
                    if random(30) == 0:
                        truth.free(outbox, truth.freed + random(outbox.last + 1 - truth.freed))
            except (OSError, FlashError):
                assert place.device.dead
                seen += 1
            place.again()
        outbox = continued(truth, chosen(place, (3 + seed) * 4096))
        assert seen == cuts and outbox.last > 1000, (seen, outbox.last)
        truth.nor.close()
        place.gone()


def check_the_old_folder_of_these_checks_is_what_the_old_code_makes():
    place = Place()
    old_folder(place, 4, 300)
    made = folder_copy(place.path + "/outbox")
    remove(place.path + "/outbox")
    truth = Truth(folder_flash.FolderFlash(place.path, 4 * 4096), 5)
    outbox = truth.mount()
    for _ in range(300):
        truth.append(outbox)
    assert folder_copy(place.path + "/outbox") == made
    place.gone()


def check_what_waits_in_the_old_folder_is_taken_over():
    """Few readings, many of which most are freed, and a ring that ran over; the board counts on from all of them."""
    for sectors, count, freed in ((200, 700, 0), (40, 7000, 6900), (6, 4000, 0), (40, 0, 0)):
        place = Place()
        truth = old_folder(place, sectors, count, freed)
        said = []
        flash = choose_flash.choose(place.path, None, sectors * 4096, said.append)
        assert flash.size == min(16, sectors) * 4096
        outbox = continued(truth, flash)
        assert outbox.boot == 2 and outbox.last == count and outbox.freed <= freed
        assert "outbox" not in os.listdir(place.path)
        assert "taken over" in said[0] and "python -m tools flash" in said[1], said
        truth.append(outbox)
        truth.nor.close()
        place.gone()


def check_more_than_the_files_hold_is_kept_until_the_backend_has_it():
    """30 sectors wait: a ring of all 40 goes on, in smaller directories; once freed, it becomes one of 16."""
    place = Place()
    truth = old_folder(place, 40, 30 * 249)
    outbox = continued(truth, chosen(place))
    assert outbox.first == 1 and truth.nor.size == 40 * 4096
    outbox = continued(truth, chosen(place))
    assert truth.nor.size == 40 * 4096, "it still waits"
    for _ in range(8 * 249):
        truth.append(outbox)
    assert outbox.first == 1
    truth.free(outbox, outbox.last - 10)
    for _ in range(300):
        truth.append(outbox)
    truth.nor.close()
    outbox = continued(truth, chosen(place))
    assert truth.nor.size == 16 * 4096 and len(os.listdir(place.path)) == 4
    truth.append(outbox)
    truth.nor.close()
    place.gone()


def check_a_partition_takes_over_the_folder_and_the_files():
    for files in (False, True):
        place = Place()
        truth = old_folder(place, 20, 3000)
        if files:
            continued(truth, chosen(place)).append(reading(truth.number + 1))
            truth.number += 1
            truth.flying = truth.number
        partition = Partition(64)
        flash = choose_flash.choose(place.path, partition, SIZE, quiet)
        outbox = continued(truth, flash)
        assert outbox.capacity == 62 * 249 and outbox.last == 3000 + files and os.listdir(place.path) == []
        place.gone()


def check_another_stream_is_left_as_it_is():
    place = Place()
    truth = old_folder(place, 4, 300)
    partition, said = Partition(8), []
    other = Truth(partition.nor, 77)
    kept = other.mount()
    other.append(kept)
    flash = choose_flash.choose(place.path, partition, SIZE, said.append)
    continued(other, flash)
    assert "another stream" in said[0] and os.listdir(place.path) == ["outbox"]
    truth.verify(Outbox(folder_flash.FolderFlash(place.path, 4 * 4096), None, []))
    place.gone()


def check_a_folder_from_a_backup_does_not_undo_what_came_later():
    """The takeover is done, the board goes on, and then somebody copies the old folder back."""
    place = Place()
    truth = old_folder(place, 6, 600)
    partition = Partition(8)
    backup = folder_copy(place.path + "/outbox")
    outbox = continued(truth, choose_flash.choose(place.path, partition, SIZE, quiet))
    for _ in range(300):
        truth.append(outbox)
    folder_restore(place.path + "/outbox", backup)
    outbox = continued(truth, choose_flash.choose(place.path, partition, SIZE, quiet))
    assert outbox.last == 900 and os.listdir(place.path) == []
    place.gone()


def check_a_cut_at_any_step_of_a_takeover_is_mended():
    """Files to files on littlefs, cut at each of its steps; the mending is cut off as well."""
    if not LITTLEFS:
        return
    place = Place(40)
    truth = old_folder(place, 4, 700, 260)
    cells, tried = bytes(place.device.cells), 0
    place.gone()
    step = 0
    while step is not None:
        place = fixture(cells)
        for fuse in (step, step // 2):
            place.device.fuse, place.device.mode = fuse, MODES[tried % (len(MODES) - 1)]
            try:
                chosen(place)
                fuse = None
            except (OSError, FlashError):
                assert place.device.dead
                tried += 1
            place.again()
            if fuse is None:
                break
        step = step + 3 if fuse is not None else None
        taken(truth, chosen(place))
        place.gone()
    assert tried > 50, tried


def check_a_cut_at_any_step_of_a_takeover_into_a_partition_is_mended():
    """As above, on NOR that keeps marginal cells."""
    place = Place(40)
    truth = old_folder(place, 4, 700)
    backup = folder_copy(place.path + "/outbox")
    remove(place.path + "/outbox")
    for mode in MODES:
        for step in range(1000):
            folder_restore(place.path + "/outbox", backup)
            partition = Partition(8)
            partition.nor.fuse, partition.nor.mode, partition.nor.random = step, mode, Random(step)
            cut = False
            try:
                choose_flash.choose(place.path, partition, SIZE, quiet)
            except PowerCut:
                cut = True
            partition.nor.fuse = None
            flash = choose_flash.choose(place.path, partition, SIZE, quiet)
            taken(truth, flash)
            assert os.listdir(place.path) == []
            if not cut:
                break
        assert step > 8
    place.gone()


def taken(truth, flash):
    """All is there, and it goes on; the truth itself is not changed."""
    other = truth.fork(1)
    outbox = continued(other, flash)
    assert outbox.last == truth.used and outbox.boot == 2
    other.append(outbox)
    continued(other, flash)
    if hasattr(flash, "close"):
        flash.close()


def fixture(cells):
    place = Place(40)
    lfs_disk.power_off()
    place.device = lfs_disk.Device(40, bytearray(cells))
    lfs_disk.mount(place.device)
    return place


def folder_copy(path):
    kept = {}
    for name in os.listdir(path):
        with open(path + "/" + name, "rb") as file:
            kept[name] = file.read()
    return kept


def folder_restore(path, kept):
    if path.rsplit("/", 1)[1] in os.listdir(path.rsplit("/", 1)[0]):
        remove(path)
    os.mkdir(path)
    for name, data in kept.items():
        with open(path + "/" + name, "wb") as file:
            file.write(data)


class Partition:
    """An esp32.Partition over a Nor."""

    def __init__(self, sectors):
        self.nor = Nor(sectors)

    def ioctl(self, what, argument):
        if what == 4:
            return self.nor.size // 4096
        return self.nor.erase(argument)

    def readblocks(self, block, buffer, offset):
        self.nor.read(block * 4096 + offset, buffer)

    def writeblocks(self, block, data, offset):
        self.nor.program(block * 4096 + offset, data)
