"""year.py: 20 whole years, a test each so that several run at once; and short ones, for what runs and judges them."""

import pytest

import year
import year_parts
import year_record

SHORT = 12  # days: a smaller flash, and outages of 4 days that fill it; the other faults in proportion


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_whole_year(seed):
    """525,600 minutes, 30 outages, 100 power cuts, 4 more that stop the clock, 8 wrong times, two overruns of flash."""
    one = year.Year(seed)
    assert (one.plan.outages, one.plan.cuts, one.plan.faults) == (30, 100, 12)
    one.run()
    assert one.fills >= 2 and one.sampled > 500000 and one.cuts == 104
    assert set(one.gaps) <= {"flash-full", "power-cut", "backend-lost"} and one.gaps["flash-full"] > 1000


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path, capsys):
    path = tmp_path / "years"
    words = ["--seeds", "3", "--first", "101", "--days", str(SHORT), "--processes", "2", "--record", str(path)]
    year_record.Record(path, SHORT).add(102)
    assert year.main(words) == 0
    told = capsys.readouterr().out
    assert "1 of 3 years were lived before" in told and "3 of 3 years kept the promise" in told
    assert "seed 101: " in told and "seed 103: " in told and "seed 102: " not in told
    assert not path.exists(), "the next run begins anew"


def test_a_record_of_other_years_or_other_code_is_not_believed(tmp_path, monkeypatch):
    path = tmp_path / "years"
    year_record.Record(path, SHORT).add(7)
    assert year_record.Record(path, SHORT).kept == {7}
    assert year_record.Record(path, SHORT + 1).kept == set()
    year_record.Record(path, SHORT).add(7)
    monkeypatch.setattr(year_record, "fingerprint", lambda: "of other code")
    assert year_record.Record(path, SHORT).kept == set()


class Forgetful(year_parts.Backend):
    """Acks what it has not stored."""

    def store(self, message):
        if isinstance(message, year_parts.Telemetry) and message.first <= 5000 <= message.last:
            self.coverage.claim(message.first, message.last)
        else:
            super().store(message)


class Liar(year_parts.Backend):
    """Stores another value."""

    def store(self, message):
        super().store(message)
        if isinstance(message, year_parts.Telemetry) and message.last % 997 == 0:
            self.value[message.last] = 1 if self.value[message.last] != 1 else 2


class Late(year_parts.Backend):
    """Stores another time."""

    def store(self, message):
        super().store(message)
        if isinstance(message, year_parts.Telemetry) and message.last % 997 == 0 and message.tq != "estimated":
            self.time[message.last] += 1


@pytest.mark.parametrize(
    ("backend", "seen"),
    [(Forgetful, "than was stored"), (Liar, "another value is stored for"), (Late, "has another time")],
)
def test_the_judge_would_see_it(backend, seen, monkeypatch):
    monkeypatch.setattr(year, "Backend", backend)
    _, _, line, good = year.one((101, SHORT))
    assert not good and seen in line and "FAILS" in line
