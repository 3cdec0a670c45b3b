"""Where the Outbox lies on an ESP32: in the partition `outbox`, or else in files. For a moment, at each start.

    partition `outbox`        a ring as large as it is
    outbox-SECTORS-K/SECTOR   sector_files.py: a ring of at most 16 sectors, and of more as long as more wait
    outbox/SECTOR             before that, without a partition: up to 256 files of 4096 bytes

What one of these holds is taken over into the one above it that is there: take_over.py.
"""

import os

from ..moment import let_go

SECTOR = 4096
MOST = 16  # sectors in files: each start opens every one, some 70 flash reads each
_LEAST = 3  # of an Outbox
_RECORDS = 249  # of a sector with one channel


def choose(folder, partition, size, say):
    """The flash. partition: an esp32.Partition or None; size: bytes that settings allow; say(text): to the console.
    OSError or FlashError if there is none: what waits stays where it is, and the next start tries again."""
    names = os.listdir(folder or "/")
    rings = sorted([int(name[7:-2]) for name in names if name.startswith("outbox-") and name.endswith("-0")])
    old = "outbox" in names or "outbox-new" in names
    flash = None
    if partition is not None:
        from .flash import PartitionFlash

        flash = PartitionFlash(partition)
    elif rings and (len(rings) > 1 or rings[0] <= MOST or old):
        flash = files(folder, rings.pop(0))  # the smallest; a larger one, or the folder, is being taken over
    elif not rings and not old:
        flash = make(folder, wanted(folder, size))
    if rings or old:
        from . import take_over

        flash = take_over.into(flash, folder, size, old, rings, say)
        take_over = None
        let_go("boards.take_over", "boards.sector_files")
    if partition is None:
        say(
            "outbox: files, %d readings of one sensor at most: there is no partition outbox, which holds more and "
            "wears the flash less. `python -m tools flash` makes it" % ((flash.size // SECTOR - 2) * _RECORDS)
        )
    return flash


def wanted(folder, size, more=0):
    """Sectors of a ring in files: half of what is free, where so many more will be. OSError if it is too small."""
    room = os.statvfs(folder or "/")
    sectors = min(MOST, size // SECTOR, (room[0] * room[3] // SECTOR + more) // 2)
    if sectors < _LEAST:
        raise OSError(28)
    return sectors


def make(folder, sectors):
    """Files, and their folders; the first one last, for it says that all are there."""
    flash = files(folder, sectors)
    for path in flash.folders():
        try:
            os.mkdir(path)
        except OSError as error:
            if error.errno != 17:
                raise
    return flash


def files(folder, sectors):
    from .sector_files import SectorFiles

    return SectorFiles(folder, sectors)
