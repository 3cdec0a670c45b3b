"""How an ESP32 board begins: why it started, what it remembers, its settings, pins, flash and sensors. Loaded at a
start, then let go.
"""

import esp32
import machine

from .. import kept
from ..clock import Clock
from ..errors import FlashError, SettingsError
from .panel import Panel
from .rtc_memory import unpack

# Of the ESP32-DevKitC V4; settings.pins names others. README.md has the table.
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
_RESETS = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "external",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "software",
}
_TRUSTED = ("ntp", "rtc")


def begin(board, folder, time):
    """Give an Esp32 its attributes."""
    board.time = time
    board.folder = folder
    board.rtc = machine.RTC()
    board.reset = _RESETS.get(machine.reset_cause(), "unknown")
    remembered = unpack(board.rtc.memory()) or {}
    if board.reset == "external" and remembered.get("restarts"):
        board.reset = "software"  # to the ESP32's port machine.reset() is no soft reset

    def number(name):
        value = remembered.get(name, 0)
        return value if type(value) is int else 0

    board.slept_at, board.set_at, board.late = number("raw"), number("set_at"), number("late")
    slept = board.slept()
    woken = board.reset == "deep-sleep"
    board.woke_late = slept - number("sleeps") if woken and number("sleeps") else None
    board.memory = remembered.get("node") if woken else None
    quality = "rtc" if remembered.get("clock") in _TRUSTED else "none"
    board.clock = Clock(time, quality, number("drift"), uptime=number("uptime") + slept if woken else 0)
    board.store = kept.settings(board)
    board.settings = _settings(board)
    board.pins = dict(PINS)
    board.pins.update(board.settings.pins if board.settings else {})
    board.name = "thermograph-%02x%02x" % tuple(machine.unique_id()[-2:])
    board.panel = Panel(board.pins, board.clock, setup=board.settings is None and board.reset != "software")


def _settings(board):
    """None if there are none, or none that can be used: then the portal asks for others."""
    try:
        return board.store.do("load")
    except SettingsError as error:
        board.say("settings: %s" % error)


def flash(board):
    """The partition `outbox`, or else files."""
    from .choose_flash import choose

    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")
    try:
        return choose(board.folder, found[0] if found else None, board.settings.outbox_size, board.say)
    except OSError as error:
        raise FlashError("no place for the outbox, free some room or make its partition: %s" % error)


def sensors(board):
    """Drivers of those that the settings name, or else of those that answer. SettingsError names the field."""
    from . import buses

    return buses.sensors(board.settings.sensors, board.pins, board.clock, board.files, board.say)
