"""Clock: the time of a reading, and how far to trust it."""

from . import BUILT

_EPOCH_2000 = 946684800000  # Unix ms of 2000-01-01, MicroPython's epoch on most boards
_TRUST = 7 * 86400000  # ms after which a clock that was not set again counts as "rtc": 20 ppm are 12 s by then
_DRIFT_LIMIT = 500000  # ppb; quartz has 20,000, and what shows more was no drift
_DRIFT_SPAN = 86400000  # ms over which drift is measured; then anew, for it changes with the temperature
_DRIFT_EXACT = 10000  # ppb that a measured drift may be wrong by
_STEP = 5000  # ms; an error above this is a clock set wrongly, not drift


class Clock:
    """time: the module or its like, with time_ns, gmtime, ticks_ms, ticks_diff; it is the board's clock, and goes on
    over a reset. quality: "ntp" or "rtc", how it was set, or "none". drift: ppb by which the uptime runs slow, learnt
    and to be kept. uptime: ms that it begins with, where it goes on over a deep sleep.

    set() gives the time from outside. From then on time is uptime and drift from there: it does not jump with the
    board's clock, which the board sets too, so that the time is still there after a reset."""

    def __init__(self, time, quality, drift=0, floor=BUILT, uptime=0):
        self._time = time
        self._epoch = _EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0
        self._ticks = time.ticks_ms()
        self._uptime = uptime
        self._anchor = None  # (uptime, Unix ms) when it was last set
        self._base = None  # the same, when the drift began to be measured
        self._floor = floor
        self.quality = quality
        self.drift = drift

    def uptime(self):
        """ms since start; only grows. To be asked more often than ticks_ms wraps (6 days on ESP32)."""
        ticks = self._time.ticks_ms()
        if ticks != self._ticks:
            passed = self._time.ticks_diff(ticks, self._ticks)
            if passed > 0:
                self._uptime += passed
            self._ticks = ticks
        return self._uptime

    def pause(self, ms):
        self._time.sleep_ms(ms)

    def now(self):
        """(t, quality): Unix ms UTC, or the uptime and "none" while the clock is not set."""
        uptime = self.uptime()
        if self._anchor is not None:
            return self._at(uptime), "ntp" if uptime - self._anchor[0] < _TRUST else "rtc"
        t = self._time.time_ns() // 1000000 + self._epoch
        if self.quality == "none" or t < self._floor:
            return uptime, "none"
        return t, self.quality

    def set(self, t, uptime, error):
        """It was t (Unix ms) at this uptime, give or take error ms. True, and the drift learnt, if that can be."""
        if t < self._floor:
            return False
        if self._anchor is None or abs(t - self._at(uptime)) > _STEP:
            self._base = uptime, t
        self._learn(t, uptime, error)
        self._anchor = uptime, t
        return True

    def off_by(self, t, uptime):
        """ms by which the clock would step if it was t at this uptime; None while it is not set."""
        now, quality = self.now()
        return None if quality == "none" else t - now + self._uptime - uptime

    def text(self):
        """The time of day for people, HH:MM:SSZ, or the uptime as +S.mmms."""
        t, quality = self.now()
        if quality == "none":
            return "+%d.%03ds" % (t // 1000, t % 1000)
        second = t // 1000 % 86400
        return "%02d:%02d:%02dZ" % (second // 3600, second // 60 % 60, second % 60)

    def _learn(self, t, uptime, error):
        span = uptime - self._base[0]
        if span > 0 and 2 * error * 1000000000 // span <= _DRIFT_EXACT:
            drift = (t - self._base[1] - span) * 1000000000 // span
            if abs(drift) <= _DRIFT_LIMIT:
                self.drift = drift
        if span >= _DRIFT_SPAN:
            self._base = uptime, t

    def _at(self, uptime):
        since, t = self._anchor
        elapsed = uptime - since
        return t + elapsed + elapsed * self.drift // 1000000000
