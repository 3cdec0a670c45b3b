"""What an Outbox holds is taken over from files into another place for it, under the same stream and seqs.

A sector is copied as it is, to `counter % sectors` of the new ring: a record is bound to its sector's header, not to
its place. Its file goes when the copy has been read back. No Outbox runs before all is done, so after a power cut at
any step the same is simply done again. For a moment: choose_flash.py lets it go.
"""

import os

from ..errors import FlashError
from ..sector import HEADER, SECTOR, TABLE, unpack_header
from .choose_flash import MOST, make, wanted
from .sector_files import SectorFiles

_TRIES = 3
_PIECE = 64


class _Folder(SectorFiles):
    """`outbox`, as it was made before: up to 256 files, all in one folder, each written anew at each reading."""

    def __init__(self, folder):
        self._folder = folder + "/outbox"
        numbers = [int(name) for name in _names(self._folder) if name[-1] != "w"]  # a cut leaves "7.new"
        SectorFiles.__init__(self, folder, max(numbers) + 1 if numbers else 0)

    def path(self, sector):
        return "%s/%d" % (self._folder, sector)

    def folders(self):
        return [self._folder + "-new", self._folder]  # the first is left by a cut while the folder was being made


def into(flash, folder, size, old, rings, say):
    """The flash that holds what the folder `outbox` (if old) and rings of so many sectors hold. flash: None makes one
    of 16 sectors at most or, where much waits, of so many that no reading goes; size: see choose()."""
    sources = [SectorFiles(folder, count) for count in rings]
    if old:
        sources.insert(0, _Folder(folder))
    for source in sources:
        try:
            flash = _into(flash, source, folder, size, old, say)
        finally:
            source.close()
    return flash


def _into(flash, source, folder, size, old, say):
    if flash is None:
        count, waiting = source.size // SECTOR, _waiting(source)
        sectors = wanted(folder, size, count)
        if 2 * waiting > sectors:
            if not old:
                return source  # that ring was made for it
            sectors = max(sectors, min(count, waiting + MOST))
        flash = make(folder, sectors)
    if _move(source, flash):
        _remove(source)
        say("outbox: what waited in %s is taken over" % source.folders()[-1])
    else:
        say("outbox: %s is of another stream, and left as it is" % source.folders()[-1])
    return flash


def _move(source, flash):
    """False: the flash holds a log of another stream, and nothing is touched."""
    last, there = _newest(source), _newest(flash)
    if last is not None and there is not None and last.stream != there.stream:
        return False
    sectors = flash.size // SECTOR
    newest = max([head.counter for head in (last, there) if head is not None] or [0])
    data = bytearray(SECTOR)
    for copied in (False, True):  # what is blank or given up goes first, for that makes room
        for index in range(source.size // SECTOR):
            head = _header(source, index)
            if (head is not None and head.counter >= newest - sectors + 2) == copied:
                if copied:
                    _copy(source, index, head, flash, data)
                source.erase(index)
    return True


def _copy(source, index, head, flash, data):
    place = head.counter % (flash.size // SECTOR)
    start = place * SECTOR
    there = _header(flash, place)
    source.read(index * SECTOR, data)
    end = SECTOR
    while data[end - 1] == 0xFF:
        end -= 1
    data = memoryview(data)[:end]
    for _ in range(_TRIES):
        step = _PIECE  # once more over what a cut left: programming it again makes its cells sure
        if there != head:
            flash.erase(place)
            step = SECTOR
        for at in range(TABLE, end, step):
            flash.program(start + at, data[at : at + step])
        flash.program(start, data[:TABLE])  # last: with its header, a sector is whole
        if _holds(flash, start, data):
            return
        there = None
    raise FlashError("%s is not kept by the flash at %d" % (source.path(index), start))


def _holds(flash, start, data):
    for at in range(0, len(data), _PIECE):
        piece = bytearray(min(_PIECE, len(data) - at))
        flash.read(start + at, piece)
        if piece != data[at : at + _PIECE]:
            return False
    return True


def _remove(source):
    """The folders, with what is no sector."""
    for path in source.folders():
        for name in _names(path):
            os.remove(path + "/" + name)
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno != 2:
                raise


def _names(path):
    try:
        return os.listdir(path)
    except OSError as error:
        if error.errno != 2:
            raise
        return []


def _waiting(source):
    """Sectors from the one that holds the first reading which the backend may lack, to the newest."""
    last = _newest(source)
    if last is None:
        return 0
    first, sent = last.counter, 0
    for head in _headers(source):
        first = min(first, head.counter)
        if head.base <= last.freed + 1:
            sent = max(sent, head.counter)
    return last.counter - max(first, sent) + 1


def _newest(flash):
    newest = None
    for head in _headers(flash):
        if newest is None or head.counter > newest.counter:
            newest = head
    return newest


def _headers(flash):
    for index in range(flash.size // SECTOR):
        head = _header(flash, index)
        if head is not None:
            yield head


def _header(flash, index):
    data = bytearray(HEADER)
    for copy in (0, HEADER):
        flash.read(index * SECTOR + copy, data)
        head = unpack_header(data)
        if head is not None:
            return head
    return None
