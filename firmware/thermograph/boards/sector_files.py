"""Flash for the Outbox on a board without a partition for it: a file a sector, which an append makes longer.

What a file does not have reads as erased. So an erase removes it, and a program at its end, which nearly all are,
appends; littlefs then copies the last block of the file, once. A program within a file writes the file anew: a sector's
header over its table is one, some 120 bytes. A power cut leaves a file as it was or as it was to be.

littlefs now and then writes a folder's directory anew, which costs by the square of its files: 3,000 flash reads with
4 in a folder, 9,000 with 16, 36,000 with 256.
"""

import os

SECTOR = 4096
_BLANK = b"\xff" * 64


class SectorFiles:
    """One file is open at a time. OSError from all methods: the file system refused, and holds what it held."""

    def __init__(self, folder, sectors):
        """sectors: their number is in the folders' names, which choose_flash.py makes and finds again."""
        self.size = sectors * SECTOR
        self._start = "%s/outbox-%d-" % (folder, sectors)
        self._a_folder = 4 if sectors <= 16 else 16  # a folder takes two blocks itself
        self._file = self._sector = None
        self._end = 0

    def folders(self):
        """The first of them last: while that is not there, they are not yet made."""
        return ["%s%d" % (self._start, number) for number in range((self.size // SECTOR - 1) // self._a_folder, -1, -1)]

    def path(self, sector):
        return "%s%d/%d" % (self._start, sector // self._a_folder, sector)

    def read(self, offset, buffer):
        self._open(offset // SECTOR)
        count = 0
        if self._file:
            self._file.seek(offset % SECTOR)
            count = self._file.readinto(buffer)
        for at in range(count, len(buffer)):
            buffer[at] = 0xFF

    def program(self, offset, data):
        self._open(offset // SECTOR)
        if offset % SECTOR < self._end:
            return self._amend(offset, data)
        try:
            if not self._file:
                self._file = open(self.path(self._sector), "w+b")  # noqa: SIM115  it stays open
            self._file.seek(self._end)
            self._append(self._file, offset % SECTOR - self._end, data)
            self._end = offset % SECTOR + len(data)
        except OSError:
            self.close()
            raise

    def erase(self, sector):
        self.close()
        try:
            os.remove(self.path(sector))
        except OSError as error:
            if error.errno != 2:
                raise

    def close(self):
        """What is open, if anything. A file that failed is not to be used again: littlefs writes no more of it."""
        file, self._file, self._sector = self._file, None, None
        try:
            if file:
                file.close()
        except OSError:
            pass  # nothing is left to be written, or what was is lost with the error that came first

    def _open(self, sector):
        if self._sector == sector:
            return
        self.close()
        self._end = 0
        try:
            self._file = open(self.path(sector), "r+b")  # noqa: SIM115
            self._end = self._file.seek(0, 2)
        except OSError as error:
            if self._file or error.errno != 2:
                self.close()
                raise
        self._sector = sector

    def _append(self, file, blank, data):
        for at in range(0, blank, len(_BLANK)):
            file.write(_BLANK[: blank - at])
        file.write(data)
        file.flush()  # of littlefs: it is on flash then

    def _amend(self, offset, data):
        """Programmed within: the same again, as at each start, is nothing to be done."""
        now, at = bytearray(len(data)), offset % SECTOR
        self.read(offset, now)
        same = bytes(now)
        for index in range(len(data)):
            now[index] &= data[index]
        if now == same:
            return
        path, end = self.path(self._sector), self._end
        new = path.rsplit("/", 1)[0] + "/new"
        with open(new, "w+b") as file:
            self._copy(file, offset - at, 0, at)
            file.write(now)
            self._copy(file, offset - at, at + len(data), end)
            self._append(file, 0, b"")
        self.close()
        os.rename(new, path)

    def _copy(self, file, start, first, end):
        piece = bytearray(len(_BLANK))
        for at in range(first, end, len(piece)):
            self.read(start + at, piece)
            file.write(memoryview(piece)[: end - at])
