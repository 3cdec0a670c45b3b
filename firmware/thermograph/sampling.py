"""Sampler: one round asks every sensor, once or `oversample` times, and hands on a reading of each channel.

A sensor has channels, [(sensor, unit)], and works in two steps: start() gives the ms until read() has
[(value, fault)], one for each channel. In between the loop goes on.
"""

from .reading import Reading

BROKEN = "error"  # the fault of a driver that raised; the crash log has the text


class Sampler:
    """keep(reading) takes each reading; on_error(error) hears of drivers that raise. busy: a round goes on."""

    def __init__(self, sensors, clock, keep, on_error):
        self._sensors = sensors
        self._clock = clock
        self._keep = keep
        self._on_error = on_error
        self.oversample = 1
        self.busy = False
        self._turn = 0
        self._ready_at = 0
        self._round = ()  # [sensor, its time, what it told]

    def begin(self):
        """Start a round. The time of a reading is that of its sensor's first start."""
        self.busy = True
        self._turn = 0
        self._round = [[sensor, None, []] for sensor in self._sensors]
        self._start()

    def step(self, now):
        """Go on with the round as far as it goes without waiting; the ms until more can be done, or None."""
        while self.busy:
            if now < self._ready_at:
                return self._ready_at - now
            for sensor, _, heard in self._round:
                heard.append(self._read(sensor))
            self._turn += 1
            if self._turn < self.oversample:
                self._start()
                now = self._clock.uptime()
            else:
                self._finish()
        return None

    def _start(self):
        longest = 0
        for asked in self._round:
            if self._turn == 0:
                asked[1] = self._clock.now()
            try:
                longest = max(longest, asked[0].start())
            except Exception as error:
                self._on_error(error)
        self._ready_at = self._clock.uptime() + longest if longest else 0

    def _read(self, sensor):
        try:
            return sensor.read()
        except Exception as error:  # one broken driver must not end the others' record
            self._on_error(error)
            return [(None, BROKEN)] * len(sensor.channels)

    def _finish(self):
        self.busy = False
        done, self._round = self._round, ()
        for sensor, (t, quality), heard in done:
            for index, (name, unit) in enumerate(sensor.channels):
                value, fault = median([values[index] for values in heard])
                self._keep(Reading(t, quality, name, unit, value, fault))


def median(heard):
    """(value, fault) of several: the lower median of the good values, one that was really measured; the commonest
    fault if more than half are faults."""
    good = [value for value, fault in heard if fault is None and -1e30 < value < 1e30]  # NaN is not between anything
    if 2 * len(good) >= len(heard):
        good.sort()
        return good[(len(good) - 1) // 2], None
    faults = [fault or "out-of-range" for value, fault in heard if fault is not None or not -1e30 < value < 1e30]
    return None, max(faults, key=faults.count)
