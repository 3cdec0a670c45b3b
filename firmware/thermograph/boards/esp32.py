"""The ESP32 board. With its helpers beside it the only importer of machine, network, esp32, onewire and dht.

Pins are those of the ESP32-DevKitC V4; settings.pins names others. README.md has the table.
"""

import gc
import os
import time as _time

import esp32
import machine
import network

from ..clock import Clock
from ..errors import FlashError, SettingsError
from ..settings_store import FILE, Store
from . import buses, power
from .files import Files
from .flash import PartitionFlash
from .panel import Panel

PINS = {
    "onewire": 4,
    "dht": 15,
    "sda": 21,
    "scl": 22,
    "led": 2,
    "button": 0,
    "adc": 34,
    "sck": 18,
    "miso": 19,
    "cs": 5,
}
_WATCHDOG = 60000  # ms
_RADIO = 3000  # ms to wait for the radio to be off
_LATE = 5000  # ms that a wake's boot may take
_RESETS = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "external",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "software",
}
_TRUSTED = ("ntp", "rtc")


class Esp32:
    """settings (None when blank), store, files, clock, flash, sensors, network; and what a Node asks of its board."""

    ports = (80, 53)  # of the portal: web and names

    def __init__(self, folder="", time=_time):
        self._time = time
        self._folder = folder
        self._rtc = machine.RTC()
        self._kept = power.unpack(self._rtc.memory()) or {}
        self.reset = _RESETS.get(machine.reset_cause(), "unknown")
        self._slept_at = self._number("raw")
        slept = self.slept()
        self._woke_late = slept - self._number("sleeps") if self._number("sleeps") else None
        self._set_at = self._number("set_at")
        uptime = self._number("uptime") + slept if self.reset == "deep-sleep" else 0
        quality = "rtc" if self._kept.get("clock") in _TRUSTED else "none"
        self.clock = Clock(time, quality, self._number("drift"), uptime=uptime)
        self.files = Files(folder, lambda file: file.flush(), os)
        self.store = Store(self.files)
        self.settings = self._load()
        blank = self.settings is None
        self.pins = dict(PINS)
        self.pins.update(self.settings.pins if self.settings else {})
        self.name = "thermograph-%02x%02x" % tuple(machine.unique_id()[-2:])
        self._panel = Panel(self.pins, self.clock, setup=blank and self.reset != "software")
        self._watchdog = None
        self._sensors = self._flash = self._network = None

    def _load(self):
        """None if there are none, or none that can be used: then the portal asks for others."""
        if self.files.read(FILE) is None:
            return None
        try:
            return self.store.load()
        except SettingsError as error:
            self.say("settings: %s" % error)

    # -- what it is made of

    @property
    def flash(self):
        """The partition `outbox`, or else a folder of files."""
        if self._flash is None:
            found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")
            if found:
                self._flash = PartitionFlash(found[0])
            else:
                from .folder_flash import FolderFlash

                try:
                    self._flash = FolderFlash(self._folder, self.settings.outbox_size)
                except OSError as error:
                    raise FlashError("no partition outbox, and no room for a folder: %s" % error)
        return self._flash

    @property
    def sensors(self):
        """Drivers of those that the settings name, or else of those that answer. SettingsError names the field."""
        if self._sensors is None:
            self._sensors = buses.sensors(self.settings.sensors, self.pins, _Pace(self), self.files)
        return self._sensors

    @property
    def network(self):
        if self._network is None:
            from .radio import Radio

            age = self.clock.now()[0] - self._number("set_at") if self.clock.quality != "none" else None
            self._network = Radio(self.settings, self.clock, self, self._on_time, age)
        return self._network

    # -- what a Node asks of it

    def entropy(self, size):
        return os.urandom(size)

    def random(self):
        return self.entropy(1)[0] / 256

    def pause(self, ms):
        self._time.sleep_ms(ms)

    def watch(self):
        """At least every 100 ms, whatever else is going on."""
        self._panel.tick()
        if self._network is not None:
            self._network.tick()

    def feed(self):
        """Sampling makes progress. The watchdog starts with the first call and never ends: 60 s without one reset."""
        if self._watchdog is None:
            self._watchdog = machine.WDT(timeout=_WATCHDOG)
        self._watchdog.feed()

    def health(self):
        """free: of MicroPython's heap. block: largest free block of ESP-IDF's, which TLS and Wi-Fi need, and from which
        MicroPython's heap grows."""
        gc.collect()
        block = max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])
        rssi = self._network.rssi() if self._network is not None else None
        return {"reset": self.reset, "free": gc.mem_free(), "block": block, "rssi": rssi}

    def say(self, text):
        print(text)

    def identify(self, seconds):
        self._panel.blink(seconds)

    def restart(self):
        self._remember(self._kept.get("node"))
        machine.reset()

    # -- set-up

    def setup_wanted(self):
        """After a blank start, or a long button press: true once."""
        return self._panel.take_setup()

    def setup(self, on_wait):
        """Open the portal; True if settings were saved. What it loads is dropped again. A blank board opens it when
        it is switched on; when its time is over, the button does: it is no access point for ever."""
        from .access_point import open_portal

        while self.settings is None and self.reset == "software" and not self._panel.pressed_long():
            self.pause(min(on_wait(), 100))
            self.watch()
        if self._network is not None:
            self._network.off()
        return open_portal(self, on_wait)

    # -- battery

    def memory(self):
        """What a Node gave to sleep(), if this start is the wake from it."""
        return self._kept.get("node") if self.reset == "deep-sleep" else None

    def slept(self):
        """ms since sleep() was called, booting included."""
        return max(0, self._raw() - self._slept_at)

    def awake(self):
        """No sleep now: a person is at the board, or the time is about to come."""
        return self._panel.busy() or (self._network is not None and self._network.busy())

    def sleep(self, ms, memory):
        """Radio off, then deep sleep. Does not return: the next start is a wake, in time for what is due in ms."""
        if self._network is not None:
            self._network.off()
        self._radio_off()
        self._panel.wake_by_button()
        late = self._number("late")
        if self.reset == "deep-sleep" and self._woke_late is not None:
            late = min(max(0, (3 * late + self._woke_late) // 4 if late else self._woke_late), _LATE)
        ms = max(1, int(ms) - late)
        self._remember(memory, late, ms)
        machine.deepsleep(ms)

    def _radio_off(self):
        """A sleep with Wi-Fi on may hang (1 in 9 on an emulated board); active(False) returns before it is off."""
        station = network.WLAN(network.STA_IF)
        if station.active():
            station.active(False)
        for _ in range(_RADIO // 10):
            if not station.active():
                return
            self.pause(10)

    def _on_time(self, t):
        """The clock was set to t (Unix ms): the board's own clock goes on over resets."""
        seconds = t // 1000 - (946684800 if self._time.gmtime(0)[0] == 2000 else 0)
        year, month, day, hour, minute, second, weekday = self._time.gmtime(seconds)[:7]
        self._rtc.datetime((year, month, day, weekday, hour, minute, second, t % 1000 * 1000))
        self._set_at = t
        self._remember(self._kept.get("node"))

    def _remember(self, node, late=None, sleeps=None):
        """Into RTC memory. raw: the board's own clock, which goes on in a sleep; late: ms from the end of a sleep to
        the first line of this file."""
        self._kept = {
            "clock": self.clock.now()[1],
            "drift": self.clock.drift,
            "set_at": self._set_at,
            "node": node,
            "late": self._number("late") if late is None else late,
            "sleeps": sleeps,
            "uptime": self.clock.uptime(),
            "raw": self._raw(),
        }
        self._rtc.memory(power.pack(self._kept))

    def _raw(self):
        return self._time.time_ns() // 1000000

    def _number(self, name):
        value = self._kept.get(name, 0)
        return value if type(value) is int else 0


class _Pace:
    """The clock that drivers see."""

    def __init__(self, board):
        self.uptime = board.clock.uptime
        self.pause = board.pause
