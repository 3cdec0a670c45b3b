# ruff: noqa: S102 - it runs what a test wrote
"""A littlefs at /, as an ESP32 mounts it, and code that runs from it. For MicroPython's unix port:

    micropython board_disk.py FLASH FAKES CODE [ARGUMENTS]

FLASH: a file that holds the partition; FAKES: the folder of machine, esp32, ...; CODE: a file. It finds `flash`, which
counts what littlefs does to it, `Flash`, its class, and `sys`, whose platform is "esp32".
"""

import sys

import vfs

FLASH, FAKES, CODE = sys.argv[1:4]


class Flash:
    """NOR flash over a file, as esp32.Partition gives it. reads, programs, erases: how many there were."""

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
        old = self._file.read(len(data))
        self._file.seek(block * 4096 + offset)
        self._file.write(bytes([was & now for was, now in zip(old, data)]))

    def ioctl(self, command, argument):
        if command == 6:
            self.erases += 1
            self._file.seek(argument * 4096)
            self._file.write(b"\xff" * 4096)
            return 0
        return {4: self._sectors, 5: 4096}.get(command, 0)


class Esp32System:
    """sys, but for the platform."""

    platform = "esp32"

    def __getattr__(self, name):
        return getattr(sys, name)


with open(CODE) as file:
    code = file.read()
sys.path[:0] = [FAKES, FAKES + "/..", FAKES + "/../../../firmware"]
import chip  # noqa: E402, I001 - from FAKES
import dht, esp32, machine, network, onewire  # noqa: E401, E402, F401
import sensor_buses  # noqa: E402, F401

# The chips on the wires take names from the firmware, here from its sources: what runs has its own.
for name in [name for name in sys.modules if name.startswith("thermograph")]:
    del sys.modules[name]
chip.use(chip.Chip(sectors=0))
flash = Flash(FLASH)
vfs.mount(vfs.VfsPosix("/"), "/host")
vfs.umount("/")
# As _boot.py and flashbdev.py of the ESP32 port do it.
vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/")
sys.path[:] = ["", ".frozen", "/lib"]
system = Esp32System()
sys.modules["sys"] = system
exec(code, {"__name__": "__main__", "flash": flash, "Flash": Flash, "sys": system})
vfs.umount("/")
