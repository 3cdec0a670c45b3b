"""What commit 5a0d225 had in place of a partition, unchanged: checks_sector_files.py takes over what it makes."""

import os as _os

SECTOR = 4096
_PREFIX, _NEW = "outbox", "outbox-new"


class FolderFlash:
    """One file a sector, always of full size, each replaced as a whole: a littlefs copies a file's tail whenever it
    is written in the middle, so one large file would cost hundreds of erases a reading, and up to MicroPython 1.25
    its seek is not to be trusted. Costs two erases a reading, which littlefs spreads over its free blocks.

    A sector that a power cut caught holds the old bytes or the new: a rename is atomic on littlefs and on Linux."""

    def __init__(self, folder, size, sync=None, system=_os, opener=open):
        """Made if missing, of size bytes or of half of what is free. OSError if there is no room for 3 sectors."""
        self._system = system
        self._open = opener
        self._sync = sync or (lambda file: file.flush())
        self._path = folder + "/" + _PREFIX
        self._cached = None
        self._cells = bytearray(SECTOR)
        if _PREFIX not in system.listdir(folder or "/"):
            self._make(folder, size)
        self._path += "/%d"
        self.size = len(system.listdir(folder + "/" + _PREFIX)) * SECTOR
        self._tidy(folder)

    def read(self, offset, buffer):
        at = offset % SECTOR
        self._load(offset // SECTOR)
        buffer[:] = memoryview(self._cells)[at : at + len(buffer)]

    def program(self, offset, data):
        at = offset % SECTOR
        self._load(offset // SECTOR)
        for index in range(len(data)):
            self._cells[at + index] &= data[index]
        self._store(offset // SECTOR)

    def erase(self, sector):
        self._cached = sector
        for at in range(SECTOR):
            self._cells[at] = 0xFF
        self._store(sector)

    def _load(self, sector):
        if self._cached == sector:
            return
        self._cached = None
        with self._open(self._path % sector, "rb") as file:
            if file.readinto(self._cells) != SECTOR:
                raise OSError(5)
        self._cached = sector

    def _store(self, sector):
        """The cache is what the file holds, or nothing: a write that failed must not be read back as if it had not."""
        self._cached = None
        path = self._path % sector
        self._write(path + ".new", self._cells)
        self._system.rename(path + ".new", path)
        self._cached = sector

    def _write(self, path, data):
        with self._open(path, "wb") as file:
            if file.write(data) != len(data):
                raise OSError(28)
            self._sync(file)

    def _make(self, folder, size):
        """Under another name first: a folder of this name is whole."""
        new = folder + "/" + _NEW
        if _NEW not in self._system.listdir(folder or "/"):
            self._system.mkdir(new)
        for name in self._system.listdir(new):  # of an attempt that was cut off; it may have had other room
            self._system.remove(new + "/" + name)
        room = self._system.statvfs(folder or "/")
        sectors = min(size, room[0] * room[3] // 2) // SECTOR
        if sectors < 3:
            raise OSError(28)
        for sector in range(sectors):
            self._write("%s/%d" % (new, sector), b"\xff" * SECTOR)
        self._system.rename(new, self._path)

    def _tidy(self, folder):
        """What a cut left beside the sectors."""
        for name in self._system.listdir(folder + "/" + _PREFIX):
            if name.endswith(".new"):
                self._system.remove(folder + "/" + _PREFIX + "/" + name)
                self.size -= SECTOR
