"""The file system of a board that ran the firmware of commit 5a0d225, on MicroPython's own partitions or on ours.

FolderFlash is that commit's own. Through it goes the Outbox of today: what a sector holds is the same.
"""

import json
import os

from tools.bench.firmware import load
from tools.simulation.firmware import module

SECTOR = 4096
PASSWORD = "password-of-the-broker"
REMOTE_PASSWORD = "password-from-afar"
SETTINGS = {
    "device": "fridge-1",
    "interval": 60,
    "setup_password": "password-of-the-portal",
    "networks": [{"ssid": "home", "password": "password-of-the-wifi"}],
    "broker": {"host": "192.168.1.2", "user": "fridge-1", "password": PASSWORD},
}
FILES = {
    "settings.json": SETTINGS,
    "settings-remote.json": {
        "revision": 4,
        "fields": {"interval": 30, "broker": {"password": REMOTE_PASSWORD}, "setup_password": "portal-from-afar"},
    },
    "commands.json": {"done": ["c-17", "c-18"]},
    "found.json": [{"kind": "ds18b20", "id": "28ff641e8216c3a1"}],
    "crashes.json": {"in_a_row": 0, "entries": [{"t": 1764000000000, "tq": "ntp", "text": "OSError: 5 (node.py:9)"}]},
}
SECRETS = [PASSWORD, REMOTE_PASSWORD, "password-of-the-portal", "password-of-the-wifi", "portal-from-afar"]
# It has a prompt only after Ctrl-C, as the firmware has.
RUNNING = "import time\nwhile True:\n    time.sleep(0.1)\n"


def FolderFlash(folder, sectors=0):
    """That commit's own, over a folder `outbox` in this one."""
    return load("folder_flash").FolderFlash(str(folder), sectors * SECTOR)


class PartitionFlash:
    """The partition `outbox`, as the bytes of a file."""

    def __init__(self, file):
        self._file = file
        self.size = file.stat().st_size

    def read(self, offset, buffer):
        with self._file.open("rb") as file:
            file.seek(offset)
            assert file.readinto(buffer) == len(buffer)

    def program(self, offset, data):
        old = bytearray(len(data))
        self.read(offset, old)
        self._write(offset, bytes(a & b for a, b in zip(old, data, strict=True)))

    def erase(self, sector):
        self._write(sector * SECTOR, b"\xff" * SECTOR)

    def _write(self, offset, data):
        with self._file.open("r+b") as file:
            file.seek(offset)
            file.write(data)


def make(folder, flash, readings, acknowledged=0):
    """Its files in this folder, and so many readings in its flash; what it then is holding()."""
    (folder / "thermograph").mkdir()
    (folder / "thermograph" / "node.mpy").write_bytes(b"of 5a0d225")
    (folder / "main.py").write_text(RUNNING)
    (folder / "boot.py").write_text("# made by MicroPython\n")
    for name, fields in FILES.items():
        (folder / name).write_text(json.dumps(fields))
    outbox = mount(flash)
    for number in range(readings):
        sample = module("reading").Reading(1764000000000 + number * 60000, "ntp", "28ff641e8216c3a1", "Cel", 4.5, None)
        outbox.append(sample)
        if number + 1 == acknowledged:
            outbox.free(acknowledged)
    return holding(flash)


def mount(flash):
    return module("outbox").Outbox(flash, os.urandom, [("28ff641e8216c3a1", "Cel")])


def holding(flash):
    """(stream, seq of the last, what the backend does not have) as a start of the firmware finds it."""
    outbox = mount(flash)
    return outbox.stream, outbox.last, list(outbox.peek(outbox.freed + 1, 1 << 20))
