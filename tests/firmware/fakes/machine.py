"""machine, as MicroPython has it on an ESP32: what the firmware uses of it, on fakes/chip.py."""

import chip

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


def reset_cause():
    return chip.now.cause


def reset():
    raise chip.Reset("software")


def deepsleep(ms):
    if any([radio.active() for radio in chip.now.radio.values()]):
        chip.now.radio_hangs += 1
    chip.now.sleeps.append(ms)
    raise chip.DeepSleep(ms)


def unique_id():
    return chip.now.uid


class RTC:
    def memory(self, data=None):
        if data is None:
            return chip.now.rtc_memory
        if len(data) > 2048:
            raise ValueError("buffer too long")
        chip.now.rtc_memory = bytes(data)

    def datetime(self, value):
        year, month, day, weekday, hour, minute, second, us = value
        days = chip.days_from(year, month, day)
        chip.now.set_board_us((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000 + us)


class WDT:
    def __init__(self, id=0, timeout=5000):
        chip.now.watchdog = timeout
        chip.now.fed = chip.now.ms()

    def feed(self):
        chip.now.look()
        chip.now.fed = chip.now.ms()


class Pin:
    IN, OUT, OPEN_DRAIN, PULL_UP, PULL_DOWN = 1, 3, 7, 2, 1

    def __init__(self, number, mode=None, pull=None, value=None):
        assert 0 <= number <= 39 and number not in (6, 7, 8, 9, 10, 11), "the flash hangs there"
        assert mode != Pin.OUT or number < 34, "an input only"
        assert pull is None or number < 34, "no pull-up there"
        self.number = number
        self._mode = mode
        self._level = 1
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return chip.now.level(self.number)
        assert self._mode in (Pin.OUT, Pin.OPEN_DRAIN)
        if level != self._level:
            chip.now.led.append((chip.now.ms(), self.number, level))
        self._level = level

    __call__ = value


class I2C:
    def __init__(self, id, scl, sda, freq=400000):
        self._pins = (scl.number, sda.number)

    def __getattr__(self, name):
        if chip.now.i2c is None:
            return getattr(Nobody, name)
        return getattr(chip.now.i2c, name)


class Nobody:
    """An I2C bus without chips."""

    @staticmethod
    def scan():
        return []

    @staticmethod
    def readfrom_mem(address, register, size):
        raise OSError(19)

    writeto = readfrom = writeto_mem = readfrom_mem


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, atten=0):
        assert pin.number >= 32, "ADC1: the other is the radio's"
        self._pin = pin.number

    def read_uv(self):
        return chip.now.uv[self._pin]


class SPI:
    def __init__(self, id, baudrate, sck, miso, mosi=None):
        pass

    def readinto(self, buffer):
        for at in range(len(buffer)):
            buffer[at] = 0xFF
