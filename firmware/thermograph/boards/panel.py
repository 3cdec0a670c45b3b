"""The board's button and LED, driven by tick: nobody waits for a person."""

import esp32
from machine import Pin

_LONG = 5000  # ms that the button is held for set-up
_BLINK = 250  # ms on, and off
_RTC_PINS = (0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39)  # of those a sleeping ESP32 sees


class Panel:
    """pins: led and button, which is pressed when it is low. setup: set-up is wanted from the start."""

    def __init__(self, pins, clock, setup=False):
        self._clock = clock
        self._led = Pin(pins["led"], Pin.OUT, value=0)
        self._number = pins["button"]
        self._button = Pin(self._number, Pin.IN, Pin.PULL_UP)
        self._pressed_at = None
        self._taken = False
        self._setup = setup
        self._blink_until = 0

    def tick(self):
        now = self._clock.uptime()
        if self._button.value():
            self._pressed_at, self._taken = None, False
        elif self._pressed_at is None:
            self._pressed_at = now
        long = self._pressed_at is not None and now - self._pressed_at >= _LONG
        if long and not self._taken:
            self._setup = self._taken = True
        self._led.value(1 if long or (now < self._blink_until and now // _BLINK % 2 == 0) else 0)

    def blink(self, seconds):
        self._blink_until = self._clock.uptime() + int(seconds * 1000)

    def take_setup(self):
        wanted, self._setup = self._setup, False
        return wanted

    def pressed_long(self):
        return self._taken

    def busy(self):
        return self._pressed_at is not None or self._setup or self._clock.uptime() < self._blink_until

    def wake_by_button(self):
        if self._number in _RTC_PINS:
            esp32.wake_on_ext0(Pin(self._number, Pin.IN, Pin.PULL_UP), esp32.WAKEUP_ALL_LOW)
