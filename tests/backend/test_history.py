"""A channel's readings wherever they are: SQL, rollups, the archive; one answer."""

import itertools
import random

import pytest

from backend import queries
from backend.archive import Archive
from tests.backend.archive_parts import archive_all

HOUR, DAY = 3_600_000, 86_400_000
START = 1_763_769_600_000  # a midnight, a year ago


@pytest.fixture
def found(rows, channel):
    """Three days of a reading every 10 minutes, not on the full ones, with a spike and a fault: [(t, value)]."""
    chance = random.Random(3)
    found = [(START + i * 600_000 + chance.randrange(1, 599_000), float(i % 40)) for i in range(432)]
    found[200] = (found[200][0], 1234.5)
    found[201] = (found[201][0], "crc")
    rows.readings(channel, found)
    return found


@pytest.fixture(params=["all in SQL", "all in S3"])
def where(request, database, store, found):
    """The same readings in SQL, or, after the hot window went on, in the archive."""
    if request.param == "all in SQL":
        return None
    archive_all(database, store, rows=100)
    archive = Archive(database, store, rows=100, age=1, hot_days=1)
    assert archive.drop() > 2
    return store


def read(database, query, *arguments):
    with database.read() as connection:
        return query(connection, *arguments)


def test_no_reading_is_left_out_or_counted_twice(database, channel, found, where):
    for edge in (0, 123_456, 7 * HOUR + 1):
        since, until = START + edge, START + 3 * DAY - edge
        within = [(t, value) for t, value in found if since <= t < until]
        for buckets in (1, 7, 216, 5000):
            check(read(database, queries.series, channel, since, until, buckets, where), within, buckets)


def check(answer, within, buckets):
    values = [value for _, value in within if not isinstance(value, str)]
    assert len(answer) <= buckets
    assert sum(bucket.values for bucket in answer) == len(values)
    assert sum(bucket.faults for bucket in answer) == len(within) - len(values)
    assert (answer[0].first, answer[-1].last) == (within[0][0], within[-1][0])
    assert max(bucket.max for bucket in answer if bucket.max is not None) == max(values) == 1234.5
    total = sum(bucket.mean * bucket.values for bucket in answer if bucket.values)
    assert total == pytest.approx(sum(values))
    assert all(earlier.last < later.first for earlier, later in itertools.pairwise(answer))


def test_the_width_never_makes_more_buckets_than_asked():
    spans = (1, 299_999, HOUR, DAY + 1, 400 * DAY)
    starts = (START, START + 1, START + 299_999, START + 1_234_567)
    for buckets, span, since in itertools.product((1, 3, 10, 500, 5000), spans, starts):
        width = queries.bucket_width(since, since + span, buckets)
        grain = next((grain for grain in (DAY, HOUR, 300_000) if width % grain == 0), 1)
        assert (since + span - since // grain * grain) <= width * buckets


def test_every_reading_for_an_export(database, channel, found, where, monkeypatch):
    from backend import history

    monkeypatch.setattr(history, "PAGE", 50)
    with database.read() as connection:
        rows = list(queries.readings(connection, channel, START, START + 3 * DAY, where))
    assert [(row.t, row.value if row.fault is None else row.fault) for row in rows] == found
    assert [row.seq for row in rows] == list(range(1, 433))


def test_readings_of_one_instant_are_all_exported(database, rows, channel, monkeypatch):
    from backend import history

    monkeypatch.setattr(history, "PAGE", 3)
    rows.readings(channel, [(START, float(i)) for i in range(10)])
    with database.read() as connection:
        assert [row.seq for row in queries.readings(connection, channel, START, START + 1)] == list(range(1, 11))


def test_a_late_reading_in_a_day_that_has_left_sql(database, rows, channel, found, store):
    archive_all(database, store, rows=100)
    Archive(database, store, rows=100, age=1, hot_days=1).drop()
    rows.readings(channel, [(START + HOUR, -40.0)])
    answer = read(database, queries.series, channel, START, START + DAY, 720, store)
    assert sum(bucket.values for bucket in answer) == 145
    assert min(bucket.min for bucket in answer) == -40.0


def test_gaps_lie_between_the_readings_around_them(database, rows, channel):
    rows.readings(channel, [(START, 1.0), (START + 1000, 2.0)])
    rows.gap(channel, 5, "flash-full")
    rows.readings(channel, [(START + 7000, 3.0)])
    rows.gap(channel, 2, "backend-lost")
    gap = queries.GapSpan("9f3a1c02", 3, 7, "flash-full", START + 1000, START + 7000)
    last = queries.GapSpan("9f3a1c02", 9, 10, "backend-lost", START + 7000, None)
    assert read(database, queries.gap_spans, channel, START, START + DAY) == [gap, last]
    assert read(database, queries.gap_spans, channel, START, START + 900) == []
    assert read(database, queries.gap_spans, channel, START + 7001, START + DAY) == [last]
