"""Compaction and the chain of manifests: the same rows in one object a day, and whatever is changed is named."""

import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from backend import chain, failpoints, history, ledger, manifest, restore
from backend.archive import Archive
from backend.catalog import Catalog, Whole
from backend.compaction import HOUR, Compaction, due_through
from backend.database import Database
from backend.errors import VerificationFailed
from backend.ingest import Ingest
from backend.lambda_handler import handler
from backend.models import Batch, Channel, Reading
from backend.parquet import SCHEMA, ArchivedReading, Readings, decode, encode, union
from backend.settings import Settings
from tests.backend.archive_parts import archive_all, findings, rows_of
from tests.backend.test_commit import ARRIVAL, gap, telemetry
from tools.commands import tools

DAY = 86_400_000
DAYS = ("2025-11-22", "2025-11-23")
LONG_AFTER = "2026-06-01"
STEPS = [point for point in failpoints.POINTS if point.startswith("compact.")]
# For what does not depend on the database.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def ingest(database):
    return Ingest(database, bus=None, enrolment="open")


@pytest.fixture
def filled(database, store, ingest):
    """Two days, two devices, gaps, ten objects or so."""
    rows = [[i * (DAY // 24), 0, i / 3] for i in range(30)]
    ingest.commit([telemetry(1, 30, r=rows), gap(31, 35), telemetry(36, 2, r=[[0, 0, None, "crc"], [60_000, 0, 1.5]])])
    ingest.commit([telemetry(1, 9, "b", "bbbbbbbb")])
    archive_all(database, store, rows=8)
    assert {day: len(entries) > 1 for day, entries in chain.days(store).items()} == dict.fromkeys(DAYS, True)
    return database


def compaction(store, database=None, remove_after=0):
    return Compaction(store, None if database is None else Catalog(database), remove_after)


def compact(store, database=None, through=LONG_AFTER, remove_after=0):
    return compaction(store, database, remove_after).run(through)


def sizes(store):
    return {day: len(entries) for day, entries in chain.days(store).items()}


def rows_in(store):
    return sorted(row for entry in store.list("day=") for row in rows_of(store, entry.key))


def gaps_in(store):
    return sorted(gap for entry in store.list("day=") for gap in decode(store.get(entry.key))[1])


def broken(store, expected=""):
    done = chain.Proof()
    return [each for each in chain.prove(store, expected, done) if isinstance(each, chain.Broken)], done


def kinds(store, expected=""):
    return [each.kind for each in broken(store, expected)[0]]


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


@SQLITE
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


@SQLITE
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


@SQLITE
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


@SQLITE
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


@SQLITE
def test_with_sql_a_stranger_is_neither_taken_in_nor_removed(filled, store):
    row = rows_of(store, next(iter(store.list("day="))).key)[0]
    body = encode(Readings.of_rows([ArchivedReading(**{**vars(row), "device": "stranger"})]))
    key = add(store, DAYS[0], body)
    report = compact(store, filled)
    assert [key in trouble for trouble in report.troubles] == [True]
    assert sizes(store) == {DAYS[0]: 2, DAYS[1]: 1}
    assert kinds(store) == ["object-added"]
    assert [finding.kind for finding in findings(filled, store)[0]] == ["object-unknown"]


@SQLITE
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


class Killed(BaseException):
    pass


def at(monkeypatch, point, do):
    """Do it when the point is reached for the first time."""
    waiting = [do]
    monkeypatch.setattr(failpoints, "reach", lambda found: waiting.pop()() if found == point and waiting else None)


@SQLITE
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


@SQLITE
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


@SQLITE
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


def add(store, day, body):
    key = f"day={day}/{hashlib.sha256(body).hexdigest()[:32]}.parquet"
    store.put(key, body)
    return key


@SQLITE
class TestChain:
    """Each night a manifest; then somebody changes something, on any day."""

    @pytest.fixture
    def sealed(self, filled, store, ingest):
        compact(store, filled, through=DAYS[0])
        compact(store, filled)
        ingest.commit([telemetry(38, 5)])
        archive_all(filled, store)
        compact(store, filled)
        found, done = broken(store)
        assert (found, done.manifests) == ([], 3)
        return store

    def test_an_altered_object_of_any_day(self, sealed):
        for entry in list(sealed.list("day=")):
            good = sealed.get(entry.key)
            body = bytearray(good)
            body[len(body) // 2] ^= 1
            sealed.put(entry.key, bytes(body))
            found, _ = broken(sealed)
            assert [(each.kind, entry.key in each.text) for each in found] == [("object-altered", True)]
            sealed.put(entry.key, good)

    def test_a_removed_object_of_any_day(self, sealed):
        for entry in list(sealed.list("day=")):
            body = sealed.get(entry.key)
            sealed.delete(entry.key)
            found, _ = broken(sealed)
            assert [(each.kind, entry.key in each.text) for each in found] == [("object-missing", True)]
            # No later manifest covers it up.
            compact(sealed)
            assert kinds(sealed) == ["object-missing"]
            sealed.put(entry.key, body)

    def test_an_added_object_of_any_day(self, sealed):
        row = rows_of(sealed, next(iter(sealed.list("day="))).key)[0]
        body = encode(Readings.of_rows([ArchivedReading(**{**vars(row), "value": 1e9, "fault": None})]))
        for day in (*DAYS, "2025-01-01"):
            key = add(sealed, day, body)
            found, _ = broken(sealed)
            assert [(each.kind, key in each.text) for each in found] == [("object-added", True)]
            sealed.delete(key)

    def test_an_altered_or_removed_manifest(self, sealed):
        head = broken(sealed)[1].head
        for number in (1, 2, 3):
            key = f"{manifest.FOLDER}{number:08d}.json"
            good = sealed.get(key)
            sealed.put(key, good.replace(b'"readings":', b'"readings":1'))
            assert kinds(sealed, expected=head) == ["manifest-altered" if number < 3 else "manifest-missing"]
            if number < 3:
                with pytest.raises(VerificationFailed, match="not what they were"):
                    compact(sealed)
            sealed.delete(key)
            assert "manifest-missing" in kinds(sealed, expected=head)
            sealed.put(key, good)
        assert kinds(sealed, expected=head) == []

    def test_an_object_and_the_last_manifest_changed_together(self, sealed):
        """Consistent in itself: only a head that was noted elsewhere shows it."""
        head = broken(sealed)[1].head
        contents = chain.load(sealed)
        gone = next(iter(sealed.list(f"day={DAYS[0]}"))).key
        sealed.delete(gone)
        key = f"{manifest.FOLDER}{contents.number:08d}.json"
        found = manifest.decode(sealed.get(key))
        kept = tuple(entry for entry in found.added if entry.key != gone)
        sealed.put(key, dataclasses.replace(found, added=kept).encode())
        assert kinds(sealed) == []
        assert kinds(sealed, expected=head) == ["manifest-missing"]

    def test_garbage_instead_of_a_manifest(self, sealed):
        sealed.put(f"{manifest.FOLDER}00000002.json", b"\xff{")
        assert kinds(sealed)[0] == "manifest-altered"

    def test_two_at_once_write_one_chain(self, filled, store):
        contents = chain.load(store)
        entry = manifest.Entry("day=2025-11-22/a.parquet", 1, "a", 1, 1)
        other = manifest.Entry("day=2025-11-22/b.parquet", 1, "b", 1, 1)
        first = chain.append(store, contents, 1, DAYS[0], [], [entry], [])
        again = chain.append(store, manifest.Contents(), 2, DAYS[0], [], [entry], [])
        both = chain.append(store, manifest.Contents(), 3, DAYS[0], [], [entry, other], [])
        assert (first.number, again.number, both.number) == (1, 1, 2)
        assert chain.load(store).live == {each.key: each for each in (entry, other)}

    def test_the_command(self, sealed, monkeypatch):
        monkeypatch.setenv("THERMOGRAPH_S3_BUCKET", sealed.bucket)
        told = json.loads(CliRunner().invoke(tools, ["chain", "--json"]).output)
        assert (told["manifests"], told["readings"], told["findings"]) == (3, 46, [])
        good = CliRunner().invoke(tools, ["chain", "--expect", told["head"]])
        assert (good.exit_code, "is what its manifests say" in good.output) == (0, True)
        sealed.delete(next(iter(sealed.list("day="))).key)
        bad = CliRunner().invoke(tools, ["chain"])
        assert (bad.exit_code, "object-missing: day=" in bad.output) == (3, True)


@SQLITE
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


def test_put_new_writes_where_there_is_nothing(store):
    assert store.put_new("manifest/a", b"1")
    assert not store.put_new("manifest/a", b"2")
    assert store.get("manifest/a") == b"1"


def test_athenas_columns_are_those_of_the_files():
    sql = (Path(__file__).parents[2] / "backend/deploy/athena.sql").read_text(encoding="utf-8")
    told = re.findall(r"^  `(\w+)`\s+(\w+)\s+COMMENT", sql, re.MULTILINE)
    names = {pyarrow.string(): "string", pyarrow.int64(): "bigint", pyarrow.float64(): "double"}
    names[pyarrow.timestamp("ms", tz="UTC")] = "timestamp"
    assert told == [(field.name, names[field.type]) for field in SCHEMA]
    prefix = Settings().s3_prefix
    assert f"s3://BUCKET/{prefix}/day=${{day}}/" in sql and f"LOCATION 's3://BUCKET/{prefix}/'" in sql
