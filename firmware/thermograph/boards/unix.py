"""The board that is a folder on a PC: settings.json, and outbox.bin, a file that acts as NOR flash."""

import os
import socket
import sys
import time

from .. import settings
from ..clock import Clock
from ..errors import SettingsError
from ..sensors.simulated import Fridge, Simulated

if sys.implementation.name == "micropython":
    from . import micropython_unix as port
else:
    from . import cpython as port

_SECTOR = 4096


class Unix:
    """settings, clock, flash, sensors; and what a Node asks of its board."""

    def __init__(self, folder):
        """SettingsError if the folder has no usable settings.json."""
        port.install()
        self._ender = port.Ender()
        self.settings = _read_settings(folder + "/settings.json")
        self.clock = Clock(port.Time, self.settings.clock)
        self.flash = FileFlash(folder + "/outbox.bin", self.settings.outbox_size)
        self.sensors = [self._sensor(fields) for fields in self.settings.sensors]
        self.network = Network()

    def _sensor(self, fields):
        if fields["kind"] != "simulated":
            raise SettingsError("sensors: this board has no %s" % fields["kind"])
        fridge = Fridge(self.clock, fields.get("seed", 1), fields.get("faults", 0))
        return Simulated(fridge, fields["id"])

    def entropy(self, size):
        return os.urandom(size)

    def random(self):
        return self.entropy(1)[0] / 256

    def pause(self, ms):
        time.sleep(ms / 1000)

    def watch(self):
        """An ESP32 feeds its watchdog here; a process looks whether it shall end."""
        self._ender.check()

    def health(self):
        free, block = port.free_memory()
        return {"reset": "start", "free": free, "block": block, "rssi": None}

    def say(self, text):
        try:
            sys.stdout.write(text + "\n")
            if hasattr(sys.stdout, "flush"):
                sys.stdout.flush()
        except OSError:
            pass  # nobody reads the console: no reason to stop recording


class Network:
    """The machine's own. resolve may block as long as the system's resolver does; an address does not block."""

    def resolve(self, host, port):
        return socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]

    def socket(self):
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


class FileFlash:
    """NOR flash in a file: program clears bits only, erase sets a sector's; each is on disk when it returns."""

    def __init__(self, path, size):
        """Made if missing. OSError if it cannot be; SettingsError if it has another size."""
        self.size = size
        try:
            found = os.stat(path)[6]
        except OSError:
            _make_blank(path, size)
            found = size
        if found != size:
            raise SettingsError("outbox_size is %d, but outbox.bin has %d bytes" % (size, found))
        self._file = port.open_flash(path, "r+b")

    def read(self, offset, buffer):
        self._file.seek(offset)
        if self._file.readinto(buffer) != len(buffer):
            raise OSError(5)

    def program(self, offset, data):
        now = bytearray(len(data))
        self.read(offset, now)
        for at in range(len(now)):
            now[at] &= data[at]
        self._write(offset, now)

    def erase(self, sector):
        self._write(sector * _SECTOR, b"\xff" * _SECTOR)

    def _write(self, offset, data):
        self._file.seek(offset)
        if self._file.write(data) != len(data):
            raise OSError(5)
        port.sync(self._file)


def _read_settings(path):
    try:
        with open(path) as file:
            return settings.load(file.read())
    except OSError:
        raise SettingsError("cannot read %s" % path)


def _make_blank(path, size):
    """Under another name first: a file of this name is whole."""
    with port.open_flash(path + ".new", "wb") as file:
        for _ in range(size // _SECTOR):
            file.write(b"\xff" * _SECTOR)
        port.sync(file)
    os.rename(path + ".new", path)
