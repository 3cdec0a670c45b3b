# ruff: noqa: S102 - it runs what a test wrote
"""A littlefs at /, as an ESP32 mounts it, and code that runs from it. For MicroPython's unix port:

    micropython board_disk.py FLASH FAKES CODE

FLASH: a file that holds the partition; FAKES: the folder of machine, esp32, ...; CODE: a file. It finds `flash`, which
counts what littlefs does to it, and `sys`, whose platform is "esp32".
"""

import sys

import vfs

FLASH, FAKES, CODE = sys.argv[1:]


class Flash:
    """A block device over a file. reads, programs, erases: how many there were."""

    def __init__(self, path):
        self._file = open(path, "r+b")  # noqa: SIM115
        self._sectors = self._file.seek(0, 2) // 4096
        self.reads = self.programs = self.erases = 0

    def readblocks(self, block, buffer, offset=0):
        self.reads += 1
        self._file.seek(block * 4096 + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, data, offset=0):
        self.programs += 1
        self._file.seek(block * 4096 + offset)
        self._file.write(data)

    def ioctl(self, command, argument):
        if command == 6:
            self.erases += 1
        return {4: self._sectors, 5: 4096}.get(command, 0)


class Esp32System:
    """sys, but for the platform."""

    platform = "esp32"

    def __getattr__(self, name):
        return getattr(sys, name)


with open(CODE) as file:
    code = file.read()
sys.path.insert(0, FAKES)
import chip  # noqa: E402, I001 - from FAKES
import dht, esp32, machine, network, onewire  # noqa: E401, E402, F401

chip.use(chip.Chip(sectors=0))
flash = Flash(FLASH)
vfs.mount(vfs.VfsPosix("/"), "/host")
vfs.umount("/")
# As _boot.py and flashbdev.py of the ESP32 port do it.
vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/")
sys.path[:] = ["", ".frozen", "/lib"]
system = Esp32System()
sys.modules["sys"] = system
exec(code, {"__name__": "__main__", "flash": flash, "sys": system})
vfs.umount("/")
