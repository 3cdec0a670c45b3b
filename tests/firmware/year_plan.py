"""What happens in a year, from its seed."""

import random

from virtual import START

MINUTE, HOUR, DAY = 60000, 3600000, 86400000
LONG_YEAR = 60  # days from which the outages are as long as in a year


class Plan:
    """What happens when: [(true time, what, how)], sorted, from the seed."""

    def __init__(self, seed, days):
        self._random = random.Random(seed)
        self.end = START + days * DAY
        self.events = []
        share = days / 365
        self.outages, self.cuts, self.faults = (max(2, round(count * share)) for count in (30, 100, 12))
        self._plan_outages(days)
        for _ in range(self.cuts):
            self._add(self._any(), "cut", (self._chance(0.5), self._log(1000, 6 * HOUR), self._chance(0.3)))
        for number in range(self.faults):
            self._plan_clock_fault(number)
        for _ in range(max(2, round(12 * share))):
            at = self._any()
            self._add(at, "sleep", None)
            if self._chance(0.5):
                self._add(at + self._log(MINUTE, 6 * HOUR), "amnesia", None)
            self._add(at + self._log(10 * MINUTE, DAY), "wake", None)
        for _ in range(max(1, round(2 * share))):
            at = self._any()
            self._add(at, "backup", None)
            self._add(at + self._log(HOUR, 3 * DAY), "restore", None)
        for number in (1, 2, 3):
            self._add(self._any(), "settings", number)
        self.events.sort(key=lambda event: event[0])

    def _plan_outages(self, days):
        """Two that are longer than the flash lasts, apart from each other; the rest from 3 minutes to 6 days."""
        long = 4 * DAY if days < LONG_YEAR else 12 * DAY
        for part in (0, 1):
            at = START + int((part * 0.5 + 0.02) * days * DAY) + self._random.randrange(DAY)
            self._add(at, "down", None)
            self._add(at + long + self._random.randrange(max(1, days // 60) * DAY), "up", None)
        for _ in range(self.outages - 2):
            at = self._any()
            self._add(at, "down", None)
            self._add(at + self._log(3 * MINUTE, 6 * DAY if days >= LONG_YEAR else 6 * HOUR), "up", None)

    def _plan_clock_fault(self, number):
        """A third lose the clock with the power; the others are told a wrong time for a while."""
        at = self._any()
        if number % 3 == 0:
            self._add(at, "cut", (False, self._log(1000, HOUR), True))
        else:
            off = self._log(1000, 3 * DAY) * (1 if number % 3 == 1 else -1)
            self._add(at, "lie", off)
            self._add(at + self._log(MINUTE, 12 * HOUR), "lie", 0)

    def _add(self, at, what, how):
        self.events.append((min(at, self.end - 1), what, how))

    def _any(self):
        return START + self._random.randrange(self.end - START)

    def _chance(self, share):
        return self._random.random() < share

    def _log(self, low, high):
        return int(low * (high / low) ** self._random.random())
