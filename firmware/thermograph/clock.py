"""Clock: the time of a reading, and how far to trust it."""

_EPOCH_2000 = 946684800000  # Unix ms of 2000-01-01, MicroPython's epoch on most boards
_FLOOR = 1735689600000  # Unix ms of 2025-01-01: this firmware is younger, so an earlier clock is not set


class Clock:
    """time: the module or its like, with time_ns, gmtime, ticks_ms, ticks_diff.
    quality: "ntp" or "rtc", how the wall clock was set, or "none"."""

    def __init__(self, time, quality):
        self._time = time
        self._epoch = _EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0
        self._ticks = time.ticks_ms()
        self._uptime = 0
        self.quality = quality

    def uptime(self):
        """ms since start; only grows. To be asked more often than ticks_ms wraps (6 days on ESP32)."""
        ticks = self._time.ticks_ms()
        self._uptime += max(0, self._time.ticks_diff(ticks, self._ticks))
        self._ticks = ticks
        return self._uptime

    def now(self):
        """(t, quality): Unix ms UTC, or the uptime and "none" while the wall clock is not set."""
        t = self._time.time_ns() // 1000000 + self._epoch
        if self.quality == "none" or t < _FLOOR:
            return self.uptime(), "none"
        return t, self.quality

    def text(self):
        """The time of day for people, HH:MM:SSZ, or the uptime as +S.mmms."""
        t, quality = self.now()
        if quality == "none":
            return "+%d.%03ds" % (t // 1000, t % 1000)
        second = t // 1000 % 86400
        return "%02d:%02d:%02dZ" % (second // 3600, second // 60 % 60, second % 60)
