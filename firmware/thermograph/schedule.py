"""Schedule: when to sample. Whole intervals of the wall clock where it is set, of uptime where it is not.

The slots lie on a grid; a clock that steps moves the grid. The next slot is the first on the grid that is half an
interval or more after the last one: so a step neither doubles a sample nor leaves more than 1.5 intervals without
one. A slot that was missed is counted, never faked. Pure but for the clock.
"""

_LOOK = 1000  # ms between two looks at the wall clock, to see it step


class Schedule:
    """interval: ms; clock: uptime() and now(); missed: slots that passed without a sample."""

    def __init__(self, interval, clock):
        self._clock = clock
        self.missed = 0
        self.set_interval(interval)

    def set_interval(self, interval):
        """A new interval, from now on. Where there is a clock, its next whole interval is first; else now is."""
        self.interval = interval
        self._slot = None
        now = self._clock.uptime()
        self._align(now)
        if self._clock.now()[1] == "none":
            self._at = now

    def due(self, now):
        """True once for each slot, at its time or, if nobody asked then, later. now: uptime."""
        if now < self._at:
            if now >= self._look_at:
                self._align(now)
                self._at = max(self._at, now)  # a step may show that the slot has just passed
            if now < self._at:
                return False
        late = (now - self._at) // self.interval
        self.missed += late
        self._slot = self._at + late * self.interval
        self._align(now)
        return True

    def resume(self, at):
        """Go on after a deep sleep: the next slot is at this uptime, or was."""
        self._at = at
        self._slot = at - self.interval

    def wait(self, now):
        """ms until the next slot."""
        return self._at - now if self._at > now else 0

    def _align(self, now):
        self._look_at = now + _LOOK
        t, quality = self._clock.now()
        grid = 0 if quality == "none" else now - t
        earliest = now if self._slot is None else self._slot + (self.interval + 1) // 2
        self._at = earliest + (grid - earliest) % self.interval
