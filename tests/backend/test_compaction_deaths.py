"""Compaction killed at each of its steps, and run twice at once."""

import pytest

from backend import failpoints
from tests.backend.archive_parts import archive_all, findings
from tests.backend.compaction_parts import DAYS, compact, gaps_in, kinds, rows_in, sizes
from tests.backend.test_commit import telemetry

STEPS = [point for point in failpoints.POINTS if point.startswith("compact.")]


class Killed(BaseException):
    pass


def at(monkeypatch, point, do):
    """Do it when the point is reached for the first time."""
    waiting = [do]
    monkeypatch.setattr(failpoints, "reach", lambda found: waiting.pop()() if found == point and waiting else None)


@pytest.mark.sqlite_only
@pytest.mark.parametrize("point", [point for point in STEPS if point not in ("compact.replacing", "compact.replaced")])
def test_from_s3_alone_a_death_at_any_step_costs_nothing(filled, store, monkeypatch, point):
    rows, gaps = rows_in(store), gaps_in(store)

    def die():
        raise Killed

    at(monkeypatch, point, die)
    with pytest.raises(Killed):
        compact(store)
    assert set(rows_in(store)) == set(rows)
    compact(store)
    assert (rows_in(store), gaps_in(store)) == (rows, gaps)
    assert sizes(store) == dict.fromkeys(DAYS, 1)
    assert kinds(store) == []


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("point", "with_sql"),
    # Within SQL's transaction the other one would wait for its end.
    [(point, True) for point in STEPS if point != "compact.replacing"]
    + [(point, False) for point in STEPS if not point.startswith("compact.repl")],
)
def test_another_run_in_the_middle_of_one(filled, store, ingest, monkeypatch, point, with_sql):
    """The other one finds more: late readings came just then."""
    database = filled if with_sql else None
    rows = rows_in(store)

    def another():
        ingest.commit([telemetry(38, 5)])
        archive_all(filled, store)
        assert compact(store, database).troubles == []

    at(monkeypatch, point, another)
    assert compact(store, database).troubles == []
    assert compact(store, database).troubles == []
    assert sizes(store) == dict.fromkeys(DAYS, 1)
    found = rows_in(store)
    assert (len(found), set(rows) <= set(found)) == (len(rows) + 5, True)
    assert kinds(store) == []
    if with_sql:
        assert findings(filled, store)[0] == []
