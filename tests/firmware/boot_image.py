# ruff: noqa: E402, E401, I001 - the fakes are found first
"""Starts a flash image as an ESP32 with MicroPython does. For MicroPython's unix port:

    micropython boot_image.py IMAGE FAKES ID TEMPERATURE

The flash is the file: its table, read here by Espressif's published layout, says where vfs and outbox lie; both are
esp32.Partitions over the file. vfs is mounted at /, as _boot.py does, and main.py runs from it, with its modules from
it. Below the pins stand tests/firmware/fakes, for unix has no machine, network and esp32: a DS18B20 (ID: 14 hex digits;
TEMPERATURE in degrees) and a DHT22 that says 21.5 degrees and 45 %.
"""

import gc
import struct
import sys

IMAGE, FAKES, ID, TEMPERATURE = sys.argv[1:]
sys.path[:0] = [FAKES, FAKES + "/..", FAKES + "/../../../firmware"]
import chip
import dht, esp32, machine, network, onewire  # noqa: F401 - from FAKES: it is out of reach once vfs is at /
import vfs
from sensor_buses import Thermometer, Wire, rom_of

# The thermometer takes names from the firmware, here from its sources: the image has its own.
for name in [name for name in sys.modules if name.startswith("thermograph")]:
    del sys.modules[name]

TABLE, SECTOR = 0x8000, 4096


class Region:
    """A part of the file, with what of a bytearray the fakes' Partition needs."""

    def __init__(self, file, offset, size):
        self._file, self._offset, self._size = file, offset, size

    def __len__(self):
        return self._size

    def __getitem__(self, place):
        self._file.seek(self._offset + place.start)
        return self._file.read(place.stop - place.start)

    def __setitem__(self, place, data):
        self._file.seek(self._offset + place.start)
        self._file.write(data)


def partitions(file):
    """{label: Region} of the table's data partitions (ESP-IDF programming guide, "Partition Tables")."""
    found = {}
    file.seek(TABLE)
    while True:
        magic, kind, subtype, offset, size, label, flags = struct.unpack("<2sBBII16sI", file.read(32))
        if magic != b"\xaa\x50":
            return found
        if kind == 1:
            found[str(label.rstrip(b"\0"), "ascii")] = Region(file, offset, size)


class Esp32System:
    """sys, but for the platform."""

    platform = "esp32"

    def __getattr__(self, name):
        return getattr(sys, name)


file = open(IMAGE, "r+b")  # noqa: SIM115
made = chip.use(chip.Chip(sectors=0, real=True))
made.flash = partitions(file)
made.air = [(b"Wokwi-GUEST", "", -50)]

# As modules/flashbdev.py and modules/_boot.py of the ESP32 port.
bdev = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
vfs.mount(vfs.VfsPosix("/"), "/host")
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(bdev), "/")
sys.path[:] = ["", ".frozen", "/lib"]


def files(folder):
    import os

    for entry in os.ilistdir(folder):
        path = folder + entry[0]
        if entry[1] != 0x4000:
            yield "%s %d" % (path, entry[3])
        elif path != "/host":
            yield from files(path + "/")


for line in files("/"):
    print("file", line)


class Uptime:
    @property
    def now(self):
        return made.ms()


made.wires[4] = Wire(Thermometer(Uptime(), rom_of(ID), raw=int(float(TEMPERATURE) * 16)))
made.frames[15] = lambda: bytes([0x01, 0xC2, 0x00, 0xD7, 0x9A])  # 45.0 %, 21.5 degrees
sys.modules["sys"] = Esp32System()
with open("/main.py") as source:
    program = source.read()
del source
gc.collect()
print("fakes", gc.mem_alloc())  # of the heap
exec(program, {"__name__": "__main__", "__file__": "main.py"})  # noqa: S102 - as a board runs it
