"""The ESP32 below its pins, for CPython and MicroPython: what machine, esp32, network, onewire and dht (beside this
file) stand on. One chip at a time: `use(Chip(...))`. Virtual time, NOR flash that can be cut off, RTC memory that a
power cut empties, a watchdog that bites.
"""

import time as _time

from idf import Idf

EPOCH_2000 = 946684800
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5

now = None  # the chip in use


class PowerCut(BaseException):
    pass


class Reset(BaseException):
    """machine.reset(), or the watchdog."""


class DeepSleep(BaseException):
    """machine.deepsleep(ms): args[0]."""


def use(chip):
    global now
    now = chip
    return chip


class Chip:
    """flash: {label: Partition cells}; wires: {pin: 1-Wire bus}; i2c: a bus; frames: {pin: function that gives a
    DHT's 5 bytes}; air: [(ssid, password, dBm)]; file: what the flash lies in, not to be on the heap. real: time passes
    by itself too, and sleeps are real unless hasty."""

    def __init__(self, sectors=64, real=False, start=1763812345000, file=None, hasty=False):
        blank = (lambda: Cells(file, sectors)) if file else (lambda: bytearray(b"\xff" * (sectors * 4096)))
        self.flash = {"outbox": blank()} if sectors else {}
        self.fuse = None  # programs and erases until the power goes
        self.steps = 0
        self.wires, self.i2c, self.frames, self.uv = {}, None, {}, {}
        self.air = []
        self.pressed = {}  # pin: time (ms since the start of all) from which and until which it is low
        self.led = []  # (ms, level): each change
        self.true_start = start
        self.passed = 0  # us of virtual time
        self.real = real
        self.hasty = hasty
        self._began = _ns() // 1000
        self.boot_takes = 0  # ms, of each boot
        self.rtc_ppm = 0  # the board's clock runs fast by so much
        self.uid = b"\x24\x0a\xc4\x12\xab\xcd"
        self.sleeps = []
        self.radio_hangs = 0  # deep sleeps with the radio on
        self.resolve = "127.0.0.1"
        self.power_on()

    # -- power and resets

    def power_on(self):
        self.rtc_memory = b""
        self._rtc_offset = None  # us between the board's clock and true time
        self._rtc_from = self.us()
        self._boot(PWRON)

    def reset(self, cause=HARD):
        """machine.reset() is a hard reset to the ESP32's port; SOFT is Ctrl-D at the prompt."""
        self._boot(cause)

    def wake(self, ms):
        """After machine.deepsleep(ms)."""
        self.passed += ms * 1000
        self._boot(DEEPSLEEP)

    def _boot(self, cause):
        self.cause = cause
        self.booted = self.us()
        self.watchdog = None
        self.fed = 0
        self.radio = {}
        self.idf = Idf(self.ms)
        self.passed += self.boot_takes * 1000

    # -- time

    def us(self):
        """Of the true time that passed."""
        return self.passed + (_ns() // 1000 - self._began if self.real else 0)

    def ms(self):
        return self.us() // 1000

    def pass_ms(self, ms):
        """Wait. The watchdog bites where it is due."""
        if self.real and not self.hasty:
            _sleep(ms)
        else:
            self.passed += int(ms * 1000)
        self.look()

    def skip(self, ms):
        """Time that passes and nobody waits for."""
        self.passed += int(ms * 1000)

    def look(self):
        if self.watchdog is not None and self.ms() - self.fed > self.watchdog:
            raise Reset("watchdog")

    def board_us(self):
        """The board's own clock, us since 2000: from 0 at power-on, or as it was set."""
        went = self.us() - self._rtc_from
        went += went * self.rtc_ppm // 1000000
        return went + (self._rtc_offset or 0)

    def set_board_us(self, us):
        self._rtc_from, self._rtc_offset = self.us(), us

    def true_unix_ms(self):
        return self.true_start + self.ms()

    # -- pins and flash

    def level(self, pin):
        since, until = self.pressed.get(pin, (None, None))
        return 0 if since is not None and since <= self.ms() < until else 1

    def step(self, cells, offset, new, torn=None):
        """One program or erase; with the fuse burnt down, a part of it and then darkness."""
        self.steps += 1
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                half = len(new) * (self.steps % 3) // 2
                cells[offset : offset + half] = new[:half]
                raise PowerCut()
        cells[offset : offset + len(new)] = new


class Time:
    """MicroPython's time on an ESP32."""

    def ticks_ms(self):
        return ((now.us() - now.booted) // 1000) & 0x3FFFFFFF

    def ticks_diff(self, a, b):
        return ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000

    def time_ns(self):
        return now.board_us() * 1000

    def gmtime(self, seconds):
        year, month, day, hour, minute, second, weekday, yearday = _gmtime(seconds + EPOCH_2000)[:8]
        return (year, month, day, hour, minute, second, weekday, yearday)

    def sleep_ms(self, ms):
        now.pass_ms(ms)


class Cells:
    """Flash in a file, with what of a bytearray a Partition needs. Erased, unless the file is there already."""

    def __init__(self, path, sectors):
        with open(path, "ab") as file:
            for _ in range(sectors - file.tell() // 4096):
                file.write(b"\xff" * 4096)
        self._size = sectors * 4096
        self._file = open(path, "r+b")  # noqa: SIM115

    def __len__(self):
        return self._size

    def __getitem__(self, place):
        self._file.seek(place.start)
        return self._file.read(place.stop - place.start)

    def __setitem__(self, place, data):
        self._file.seek(place.start)
        self._file.write(data)


def days_from(year, month, day):
    """Days from 2000-01-01."""
    count = (year - 2000) * 365 + (year - 1997) // 4  # 2000 to 2099
    lengths = (31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return count + sum(lengths[: month - 1]) + day - 1


def _ns():
    return _time.time_ns() if not hasattr(_time, "monotonic_ns") else _time.monotonic_ns()


def _sleep(ms):
    _time.sleep(ms / 1000)


def _gmtime(seconds):
    return tuple(_time.gmtime(seconds))
