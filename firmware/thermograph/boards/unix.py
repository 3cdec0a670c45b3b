"""The board that is a folder on a PC: settings.json, and outbox.bin, a file that acts as NOR flash.

Somebody outside may put a file drive.json there: {"celsius": 21.5, "add": -2, "fault": "crc", "wifi": false} drives
the simulated sensors (sensors/simulated.py) and takes the network away.
"""

import json
import os
import sys
import time

from .. import kept
from ..clock import Clock
from ..errors import SettingsError
from ..sensors.simulated import Fridge, Simulated
from .files import Files
from .unix_network import Network

if sys.implementation.name == "micropython":
    from . import micropython_unix as port
else:
    from . import cpython as port

_SECTOR = 4096
_DRIVE = "drive.json"
_BLANK = b"\xff" * 256


class Unix:
    """settings, clock, flash, sensors; and what a Node asks of its board."""

    def __init__(self, folder):
        """SettingsError if the folder has no usable settings.json."""
        port.install()
        self._ender = port.Ender()
        self.files = Files(folder, port.sync)
        self.store = kept.settings(self)
        self.settings = self.store.do("load")
        if self.settings is None:
            raise SettingsError("cannot read settings.json")
        self.clock = Clock(port.Time, self.settings.clock)
        self.flash = FileFlash(folder + "/outbox.bin", self.settings.outbox_size)
        servers = getattr(self.settings, "dns", ())
        self.network = Network(self.clock, self.entropy, servers, joined=self._joined)
        self._sntp = self._time_servers(getattr(self.settings, "ntp", None))

    @property
    def sensors(self):
        """Made when asked for: safe mode does without. SettingsError if one cannot be."""
        if not self.settings.sensors:
            raise SettingsError("sensors: this board cannot look for them; name at least one")
        return [self._sensor(fields) for fields in self.settings.sensors]

    def _sensor(self, fields):
        if fields["kind"] != "simulated":
            raise SettingsError("sensors: this board has no %s" % fields["kind"])
        fridge = Fridge(self.clock, fields.get("seed", 1), fields.get("faults", 0), self._drive)
        return Simulated(fridge, fields["id"])

    def _drive(self):
        """drive.json as it is now; empty if there is none that can be read."""
        try:
            found = json.loads(self.files.read(_DRIVE) or "{}")
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    def _joined(self):
        return self._drive().get("wifi", True)

    def _time_servers(self, servers):
        """None unless the settings name some: the clock of a PC is kept by its system."""
        if not servers:
            return None
        from ..time_servers import TimeServers

        def say(text):
            self.say("%s %s" % (self.clock.text(), text))

        return TimeServers(self.network, self.clock, servers, self.entropy, lambda t: None, say)

    def entropy(self, size):
        return os.urandom(size)

    def random(self):
        return self.entropy(1)[0] / 256

    def pause(self, ms):
        time.sleep(ms / 1000)

    def watch(self):
        """Called often, whatever happens: a process looks whether it shall end."""
        self._ender.check()
        if self._sntp is not None:
            self._sntp.tick()

    def feed(self):
        """Called often while sampling goes on: an ESP32 feeds its watchdog here."""

    def identify(self, seconds):
        self.say("identify: here is %s" % self.settings.device)

    def setup_wanted(self):
        return False

    def restart(self):
        """The same process begins again."""
        port.restart()

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
        self._file.seek(sector * _SECTOR)
        for _ in range(_SECTOR // len(_BLANK)):  # in parts: a whole sector is a large piece of a small heap
            if self._file.write(_BLANK) != len(_BLANK):
                raise OSError(5)
        port.sync(self._file)

    def _write(self, offset, data):
        self._file.seek(offset)
        if self._file.write(data) != len(data):
            raise OSError(5)
        port.sync(self._file)


def _make_blank(path, size):
    """Under another name first: a file of this name is whole."""
    with port.open_flash(path + ".new", "wb") as file:
        for _ in range(size // len(_BLANK)):
            file.write(_BLANK)
        port.sync(file)
    os.rename(path + ".new", path)


def main(arguments, start):
    """The exit code. arguments: the program's name and the device's folder; start(board): main.py's."""
    if len(arguments) != 2:
        print("usage: main.py DEVICE_FOLDER")
        return 2
    try:
        return start(Unix(arguments[1]))
    except SettingsError as error:
        print("settings: %s" % error)
        return 2
