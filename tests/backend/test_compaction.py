"""Compaction: the same rows in one object a day."""

import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from sqlalchemy import func, select

from backend import chain, history, ledger, restore
from backend.archive import Archive
from backend.catalog import Catalog, Whole
from backend.compaction import HOUR, Compaction, due_through
from backend.database import Database
from backend.lambda_handler import handler
from backend.models import Batch, Channel, Reading
from backend.parquet import ArchivedReading, Readings, encode, union
from tests.backend.archive_parts import archive_all, findings, rows_of
from tests.backend.compaction_parts import (
    DAY,
    DAYS,
    LONG_AFTER,
    add,
    broken,
    compact,
    compaction,
    gaps_in,
    kinds,
    rows_in,
    sizes,
)
from tests.backend.test_commit import ARRIVAL, telemetry


@pytest.mark.parametrize("with_sql", [True, False])
def test_a_day_becomes_one_object_of_the_same_rows(filled, store, with_sql):
    rows, gaps = rows_in(store), gaps_in(store)
    report = compact(store, filled if with_sql else None)
    assert (report.days, report.joined, report.manifest, report.troubles, report.open) == (2, 2, 1, [], [])
    assert sizes(store) == dict.fromkeys(DAYS, 1)
    assert (rows_in(store), gaps_in(store)) == (rows, gaps)
    again = compact(store, filled if with_sql else None)
    assert (again.joined, again.removed, rows_in(store)) == (0, 0, rows)
    assert kinds(store) == []


def test_the_database_follows(filled, store):
    found, before = findings(filled, store)
    assert found == []
    compact(store, filled)
    found, after = findings(filled, store)
    assert found == []
    assert (after.objects, after.readings, after.gaps, after.digest) == (2, 41, before.gaps, before.digest)
    done = broken(store)[1]
    assert (done.readings, done.digest) == (41, before.digest)
    with filled.read() as connection:
        assert all(stream.waiting_for_archive == 0 for stream in ledger.read(connection))


def test_late_readings_are_taken_in_by_the_next_run(filled, store, ingest):
    compact(store, filled)
    ingest.commit([telemetry(38, 5)])
    archive_all(filled, store)
    assert max(sizes(store).values()) == 2
    assert kinds(store) == ["object-added"]
    report = compact(store, filled)
    assert (report.joined, sizes(store)) == (1, dict.fromkeys(DAYS, 1))
    assert findings(filled, store)[0] == kinds(store) == []
    assert len(rows_in(store)) == 46


def test_what_left_sql_and_what_did_not_are_joined(filled, store, ingest):
    Archive(filled, store, rows=8, age=1, hot_days=1).drop()
    ingest.commit([telemetry(38, 5)])
    archive_all(filled, store)
    compact(store, filled)
    with filled.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Reading)) == 0
        assert connection.scalar(select(func.count()).where(Batch.dropped_at.is_(None))) == 0
    assert findings(filled, store) == ([], findings(filled, store)[1])
    assert len(rows_in(store)) == 46


def test_the_whole_leaves_sql_like_any_batch(filled, store):
    compact(store, filled)
    assert Archive(filled, store, rows=8, age=1, hot_days=1).drop() == 2
    with filled.read() as connection:
        assert connection.execute(select(Reading)).first() is None
        channel = connection.scalar(select(Channel.id).order_by(Channel.id).limit(1))
        assert len(list(history.readings(connection, channel, 0, ARRIVAL + 9 * DAY, store))) == 32
    assert findings(filled, store)[0] == []


@pytest.mark.sqlite_only
def test_a_restored_database_agrees_while_the_old_objects_are_there(filled, store, tmp_path):
    compact(store, filled, remove_after=10**12)
    new = Database(f"sqlite:///{tmp_path}/new.db")
    new.migrate()
    restore.begin(new)
    list(restore.load(new, store, restore.objects(store), restore.Restored()))
    restore.finish(new)
    assert findings(new, store)[0] == []
    assert findings(new, store)[1].digest == findings(filled, store)[1].digest
    new.close()


@pytest.mark.sqlite_only
def test_only_days_that_are_over_for_long_enough(filled, store):
    at = ARRIVAL - ARRIVAL % DAY + DAY + 6 * HOUR
    assert (due_through(at, 6 * HOUR), due_through(at - 1, 6 * HOUR)) == ("2025-11-22", "2025-11-21")
    report = compact(store, filled, through="2025-11-22")
    assert sizes(store)["2025-11-22"] == 1 < sizes(store)["2025-11-23"]
    assert report.days == 1
    assert kinds(store) == []
    assert broken(store)[1].waiting == sizes(store)["2025-11-23"]


def test_a_day_whose_batches_are_not_all_uploaded_waits(filled, store, ingest):
    ingest.commit([telemetry(38, 2)])
    Archive(filled, store, rows=8, age=1).freeze()
    assert compact(store, filled).open == ["2025-11-22"]
    assert sizes(store)["2025-11-22"] > sizes(store)["2025-11-23"] == 1
    assert kinds(store) == []
    Archive(filled, store, rows=8, age=1).upload()
    assert compact(store, filled).open == []
    assert sizes(store) == dict.fromkeys(DAYS, 1)


@pytest.mark.sqlite_only
def test_the_old_objects_stay_as_long_as_was_asked(filled, store):
    before = sum(sizes(store).values())
    now = [ARRIVAL]
    work = Compaction(store, Catalog(filled), HOUR, lambda: now[0])
    assert work.run(LONG_AFTER).removed == 0
    assert broken(store)[1].replaced == before
    assert findings(filled, store)[0] == kinds(store) == []
    now[0] += HOUR - 1
    assert work.sweep() == 0
    now[0] += 1
    assert work.sweep() == before
    assert sizes(store) == dict.fromkeys(DAYS, 1)
    assert kinds(store) == []


def test_sql_follows_what_was_joined_from_s3_alone(filled, store):
    compact(store)
    assert {finding.kind for finding in findings(filled, store)[0]} > {"object-missing"}
    report = compact(store, filled)
    assert (report.troubles, report.open) == ([], [])
    assert findings(filled, store)[0] == []


@pytest.mark.sqlite_only
def test_from_s3_alone_what_was_lost_is_made_again_while_its_parts_are_there(filled, store):
    rows = rows_in(store)
    compact(store, remove_after=10**12)
    again = compact(store, remove_after=10**12)
    assert (again.joined, again.troubles) == (0, [])
    whole = next(key for key in chain.load(store).live if DAYS[0] in key)
    store.delete(whole)
    assert kinds(store) == ["object-missing"]
    assert compact(store).troubles == []
    assert (rows_in(store), kinds(store)) == (rows, [])


def test_s3_alone_removes_nothing_that_sql_still_names(filled, store):
    names = {entry.key for entry in store.list("day=")}
    compact(store, remove_after=10**12)
    compaction(store, filled).sweep()
    assert names < {entry.key for entry in store.list("day=")}
    compact(store, filled)
    assert sizes(store) == dict.fromkeys(DAYS, 1)
    assert findings(filled, store)[0] == []


def test_a_day_that_has_changed_meanwhile_is_left(filled, store):
    known = Catalog(filled).keys(DAYS[0])
    whole = Whole(DAYS[0], "day=2025-11-22/x.parquet", 1, "x", Readings.of_rows([]))
    assert not Catalog(filled).replace(whole, known - {min(known)})
    assert Catalog(filled).keys(DAYS[0]) == known


@pytest.mark.sqlite_only
def test_with_sql_a_stranger_is_neither_taken_in_nor_removed(filled, store):
    row = rows_of(store, next(iter(store.list("day="))).key)[0]
    body = encode(Readings.of_rows([ArchivedReading(**{**vars(row), "device": "stranger"})]))
    key = add(store, DAYS[0], body)
    report = compact(store, filled)
    assert [key in trouble for trouble in report.troubles] == [True]
    assert sizes(store) == {DAYS[0]: 2, DAYS[1]: 1}
    assert kinds(store) == ["object-added"]
    assert [finding.kind for finding in findings(filled, store)[0]] == ["object-unknown"]


@pytest.mark.sqlite_only
def test_an_altered_or_missing_object_stops_its_day_only(filled, store):
    keys = [entry.key for entry in store.list(f"day={DAYS[0]}")]
    body = store.get(keys[0])
    store.put(keys[0], body[:-1] + b"!")
    report = compact(store, filled)
    assert report.open == [DAYS[0]] and "was altered" in report.troubles[0]
    assert sizes(store) == {DAYS[0]: len(keys), DAYS[1]: 1}
    store.delete(keys[0])
    assert "is not in S3" in compact(store, filled).troubles[0]
    store.put(keys[0], body)
    assert compact(store, filled).troubles == []
    assert findings(filled, store)[0] == kinds(store) == []


@pytest.mark.sqlite_only
def test_of_two_that_hold_the_whole_day_everybody_keeps_the_same(filled, store):
    """Two versions of a library may encode the same rows to other bytes."""
    rows = rows_in(store)
    compact(store, filled, through=DAYS[0])
    (ours,) = chain.of_day(store, DAYS[0])
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(store.get(ours.key)))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="gzip")
    other = add(store, DAYS[0], buffer.getvalue())
    compact(store)
    assert [entry.key for entry in chain.of_day(store, DAYS[0])] == [min(ours.key, other)]
    assert rows_in(store) == rows


def test_a_union_is_the_same_in_any_order_and_refuses_what_differs():
    rows = [
        ArchivedReading("a", "9f3a1c02", seq, "s", "Cel", seq, "ntp", None if seq % 7 == 0 else seq / 3,
                        "crc" if seq % 7 == 0 else None, 5) for seq in range(1, 3000)
    ]  # fmt: skip
    parts = [Readings.of_rows(rows[:1000]), Readings.of_rows(rows[900:2000]), Readings.of_rows(rows[2000:])]
    whole = union(parts)
    assert whole == Readings.of_rows(rows)
    assert encode(union([*parts[::-1], whole])) == encode(whole)
    with pytest.raises(ValueError, match="disagree"):
        union([whole, Readings.of_rows([ArchivedReading(**{**vars(rows[4]), "value": 9.0})])])
    assert len(union([])) == 0


@pytest.mark.sqlite_only
def test_the_function_of_aws_does_the_same(filled, store, monkeypatch):
    monkeypatch.setenv("THERMOGRAPH_S3_BUCKET", store.bucket)
    rows = rows_in(store)
    assert handler({}, None)["removed"] == 0
    report = handler({"remove_after_s": 0}, None)
    json.dumps(report)
    assert (sizes(store), rows_in(store)) == (dict.fromkeys(DAYS, 1), rows)
    store.put(next(iter(store.list("day="))).key, b"altered")
    add(store, DAYS[0], encode(Readings.of_rows(rows[:1])))
    with pytest.raises(RuntimeError, match="was altered"):
        handler({}, None)
