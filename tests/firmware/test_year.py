"""year.py: whole years, and short ones in numbers. The nightly run is `python tests/firmware/year.py --seeds 1000`."""

import pytest

import year
import year_parts

SHORT = 12  # days: a smaller flash, and outages of 4 days that fill it; the other faults in proportion


def test_a_whole_year():
    """525,600 minutes, 30 outages, 100 power cuts and 4 that stop the clock, 8 wrong times; the flash runs over twice.

    About a minute of computing; 20 of them would be 20 minutes, so the other 19 are shorter."""
    one = year.Year(3)
    assert (one.plan.outages, one.plan.cuts, one.plan.faults) == (30, 100, 12)
    one.run()
    assert one.fills == 2 and one.sampled > 500000 and one.cuts == 104
    assert set(one.gaps) <= {"flash-full", "power-cut", "backend-lost"} and one.gaps["flash-full"] > 1000


def test_19_short_years():
    lines = []
    assert year.many(range(101, 120), SHORT, 2, lines.append) == [], "\n".join(lines)
    assert len(lines) == 19


class Forgetful(year_parts.Backend):
    """Acks what it has not stored."""

    def _store(self, message):
        if isinstance(message, year_parts.Telemetry) and message.first <= 5000 <= message.last:
            self.coverage.claim(message.first, message.last)
        else:
            super()._store(message)


class Liar(year_parts.Backend):
    """Stores another value."""

    def _store(self, message):
        super()._store(message)
        for seq in list(self.value)[-1:]:
            if seq % 997 == 0 and self.value[seq] is not None:
                self.value[seq] += 1


@pytest.mark.parametrize("backend", [Forgetful, Liar])
def test_the_judge_would_see_it(backend, monkeypatch):
    monkeypatch.setattr(year, "Backend", backend)
    assert year.one((101, SHORT))[3] is False
