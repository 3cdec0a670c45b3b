"""The ESP32 board. With its helpers beside it the only importer of machine, network, esp32, onewire and dht."""

import gc
import os
import time as _time

import machine

from ..moment import let_go
from .memory import Guard, heap, idf

_WATCHDOG = 60000  # ms


class Esp32:
    """settings (None when blank), store, files, clock, flash, sensors, network; and what a Node asks of its board.

    What esp32_start.py gives it besides (main.py lets that go once the Node is built): pins, name; reset: why it
    started; memory: what the Node gave to be remembered, if this start is the wake from its sleep; set_at: Unix ms of
    the last time from outside, or 0; late, woke_late: ms that a wake's boot takes, and this one took, or None."""

    ports = (80, 53)  # of the portal: web and names

    def __init__(self, folder="", time=_time):
        from .esp32_start import begin

        self._watchdog = self._sensors = self._flash = self.radio = None
        begin(self, folder, time)
        self.guard = Guard(self.clock, self.say)
        self.guard.do("hold")

    @property
    def files(self):
        """Made for each use: it is seldom."""
        from .files import Files

        return Files(self.folder, lambda file: file.flush(), os)

    @property
    def flash(self):
        if self._flash is None:
            from .esp32_start import flash

            self._flash = flash(self)
            flash = None
            let_go("boards.choose_flash")
        return self._flash

    @property
    def sensors(self):
        if self._sensors is None:
            from .esp32_start import sensors

            self._sensors = sensors(self)
            sensors = None
            let_go("boards.buses", "boards.files", "sensors.scan", "sensors.rom")
        return self._sensors

    @property
    def network(self):
        if self.radio is None:
            from .radio import Radio

            self.radio = Radio(self)
            self.radio.guard = self.guard
        return self.radio

    # -- what a Node asks of it

    def entropy(self, size):
        return os.urandom(size)

    def random(self):
        return self.entropy(1)[0] / 256

    def pause(self, ms):
        self.time.sleep_ms(ms)

    def watch(self):
        """At least every 100 ms, whatever else is going on."""
        self.panel.tick()
        self.guard.tick()
        if self.radio is not None:
            self.radio.tick()

    def feed(self):
        """Sampling makes progress. The watchdog starts with the first call and never ends: 60 s without one reset."""
        if self._watchdog is None:
            self._watchdog = machine.WDT(timeout=_WATCHDOG)
        self._watchdog.feed()

    def health(self):
        """free: of Python's own heap. idf, block: free bytes of ESP-IDF's memory, and its largest block."""
        gc.collect()
        free, block, _ = idf()
        rssi = self.radio.rssi() if self.radio is not None else None
        return {"reset": self.reset, "free": heap()[1], "block": block, "idf": free, "rssi": rssi}

    @property
    def must_restart(self):
        """None, or why the board has to start again."""
        return self.guard.must_restart

    def say(self, text):
        print(text)

    def identify(self, seconds):
        self.panel.blink(seconds)

    def restart(self):
        from .rtc_memory import remember

        remember(self, restarts=True)
        machine.reset()

    def on_time(self, t):
        """The clock was set to t (Unix ms)."""
        from .rtc_memory import set_clock

        set_clock(self, t)
        set_clock = None
        let_go("boards.rtc_memory")

    # -- set-up and sleep

    def setup_wanted(self):
        """After a blank start, or a long button press: true once."""
        return self.panel.take_setup()

    def setup(self, on_wait):
        """Open the portal; True if settings were saved. What it loads is let go."""
        from .access_point import open_portal

        try:
            return open_portal(self, on_wait)
        finally:
            open_portal = None
            let_go("boards.access_point")

    def slept(self):
        """ms since the sleep began that this start is the wake from, booting included."""
        return max(0, self.time.time_ns() // 1000000 - self.slept_at)

    def busy(self):
        """No sleep now: a person is at the board, or the time is about to come."""
        return self.panel.busy() or (self.radio is not None and self.radio.busy())
