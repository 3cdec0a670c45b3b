"""A new database from the archive alone, and the proof that both agree; on both databases, killed at any object."""

import hashlib
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from backend import ledger, restore
from backend.archive import Archive
from backend.database import Database
from backend.errors import AlreadyThere, VerificationFailed
from backend.ingest import Ingest
from backend.models import Newest, Reading, Rollup, Stream
from backend.parquet import Readings, encode
from tests.backend.archive_parts import archive_all, findings, rows_of
from tests.backend.test_commit import gap, message, telemetry
from tools.commands import tools

pytestmark = pytest.mark.every_database

DAY = 86_400_000


@pytest.fixture
def ingest(database):
    return Ingest(database, bus=None, enrolment="open")


@pytest.fixture
def new(databases, database_kind, tmp_path):
    """One of the same kind as `database`, without rows."""
    (tmp_path / "new").mkdir()
    found = Database(databases.migrated(database_kind, tmp_path / "new"))
    yield found
    found.close()


@pytest.fixture
def filled(database, store, ingest):
    """Two devices, three streams, two days, faults, gaps within and at the end, many objects; all of it archived."""
    days = [[i * (DAY // 20), i % 2, i / 3] for i in range(30)]
    told = {"v": 1, "stream": "bbbbbbbb", "gap": [4, 9], "cause": "flash-corrupt"}
    gap_of_b = message("thermograph/v1/b/telemetry", told)
    ingest.commit(
        [
            telemetry(1, 30, ch=[["28ff641e8216c3a1", "Cel"], ["dht22", "%RH"]], r=days),
            gap(31, 35),
            telemetry(36, 2, r=[[0, 0, None, "crc"], [60_000, 0, 1.5]]),
            telemetry(1, 3, "b", "bbbbbbbb"),
            gap_of_b,
            telemetry(1, 2, "b", "cccccccc"),
        ]
    )
    archive_all(database, store, rows=8)
    return database


def bring_back(database, store, stop_after=None):
    restore.begin(database)
    done = restore.Restored()
    for number, _ in enumerate(restore.load(database, store, restore.objects(store), done), 1):
        if number == stop_after:
            return done
    restore.finish(database)
    return done


def content(database):
    """All that the archive can know, without the ids that SQL gives."""
    with database.read() as connection:
        return {
            "ledger": sorted(ledger.read(connection), key=lambda stream: (stream.device, stream.stream)),
            "newest": sorted(row[:-1][2:] for row in connection.execute(select(Newest.__table__))),
            "rollups": sorted(
                (width, start, first, last, low, high, pytest.approx(total), count, faults)
                for _, width, start, first, last, low, high, total, count, faults in connection.execute(
                    select(Rollup.__table__).order_by(Rollup.width, Rollup.start)
                )
            ),
            "marks": sorted(connection.execute(select(Stream.stream, Stream.sampled, Stream.position, Stream.frozen))),
        }


def comparable(found):
    return {**found, "rollups": [[*map(str, row[:6]), *row[7:]] for row in found["rollups"]]}


def test_a_new_database_has_all_that_the_old_one_had(filled, new, store):
    done = bring_back(new, store)
    assert (done.readings, done.gaps, done.twice) == (37, 2, 0)
    assert comparable(content(new)) == comparable(content(filled))
    (found, old), (again, restored) = findings(filled, store), findings(new, store)
    assert found == again == []
    assert (restored.digest, restored.readings) == (old.digest, 37)


def test_it_goes_on_from_any_object_it_was_killed_after(filled, new, store):
    objects = len(list(store.list()))
    assert objects > 4
    for stop_after in range(1, objects + 1):
        bring_back(new, store, stop_after)
    done = bring_back(new, store)
    assert (done.readings, done.objects) == (0, objects)
    assert comparable(content(new)) == comparable(content(filled))
    with pytest.raises(AlreadyThere, match="is not empty"):
        bring_back(new, store)


def test_it_touches_no_database_that_has_something(filled, store):
    before = comparable(content(filled))
    with pytest.raises(AlreadyThere, match="is not empty"):
        bring_back(filled, store)
    assert comparable(content(filled)) == before


def test_the_new_database_goes_on(filled, new, store):
    bring_back(new, store)
    committed = Ingest(new, bus=None, enrolment="closed").commit([telemetry(36, 4, r=[[i, 0, i] for i in range(4)])])
    assert committed.stored == 2
    archive_all(new, store)
    assert findings(new, store)[0] == []


def test_readings_that_had_left_sql_come_back(filled, new, store):
    Archive(filled, store, rows=8, age=1, hot_days=1).drop()
    with filled.read() as connection:
        assert connection.execute(select(Reading)).first() is None
    bring_back(new, store)
    assert findings(new, store)[1].readings == 37


def test_a_hole_that_no_object_explains_is_named(filled, new, store):
    for entry in list(store.list()):
        if any(row.stream == "9f3a1c02" and row.seq == 10 for row in rows_of(store, entry.key)):
            store.delete(entry.key)
    bring_back(new, store)
    with new.read() as connection:
        gaps = [gap for stream in ledger.read(connection) for gap in stream.gaps]
        accounts = ledger.read(connection)
    assert any(gap.cause == restore.UNEXPLAINED and gap.first <= 10 <= gap.last for gap in gaps)
    assert all(account.waiting_on_device == account.waiting_for_archive == 0 for account in accounts)


def test_an_altered_object_ends_it_and_nothing_of_it_is_taken(filled, new, store):
    entry = list(store.list())[2]
    body = store.get(entry.key)
    store.put(entry.key, body[:-1] + b"!")
    with pytest.raises(VerificationFailed, match="was altered"):
        bring_back(new, store)
    store.put(entry.key, body)
    bring_back(new, store)
    assert comparable(content(new)) == comparable(content(filled))


def test_a_day_that_is_there_both_joined_and_in_parts_counts_once(filled, new, store):
    rows = [row for entry in store.list("day=2025-11-22") for row in rows_of(store, entry.key)]
    body = encode(Readings.of_rows(rows))
    store.put(f"day=2025-11-22/{hashlib.sha256(body).hexdigest()[:32]}.parquet", body)
    done = bring_back(new, store)
    assert (done.readings, done.twice) == (37, len(rows))
    with new.read() as connection:
        assert sum(stream.archived for stream in ledger.read(connection)) == 37


def test_two_objects_that_disagree_end_it(filled, new, store):
    row = rows_of(store, next(iter(store.list())).key)[0]
    body = encode(Readings.of_rows([replace(row, value=99.0, fault=None)]))
    store.put(f"day=2025-11-22/{hashlib.sha256(body).hexdigest()[:32]}.parquet", body)
    with pytest.raises(VerificationFailed, match="disagree"):
        bring_back(new, store)


class TestCommand:
    """The command itself, against the bucket of the test."""

    @pytest.fixture(autouse=True)
    def settings(self, filled, store, tmp_path, monkeypatch):
        monkeypatch.setenv("THERMOGRAPH_S3_BUCKET", store.bucket)
        self.into = f"sqlite:///{tmp_path}/by-command.db"

    def run(self, *arguments):
        return CliRunner().invoke(tools, arguments, catch_exceptions=False)

    def test_restores_and_proves(self, filled, store):
        outcome = self.run("restore", "--into", self.into)
        assert outcome.exit_code == 0, outcome.output
        assert "37 readings and 2 gaps restored" in outcome.output
        assert "agree" in outcome.output
        refused = self.run("restore", "--into", self.into)
        assert refused.exit_code == 73
        assert "is not empty" in refused.output

    def test_tells_scripts_the_digest_of_each_day(self, filled, monkeypatch):
        outcome = self.run("restore", "--into", self.into, "--json")
        restored = json.loads(outcome.output)
        monkeypatch.setenv("THERMOGRAPH_DATABASE", self.into)
        verified = json.loads(self.run("verify", "--json", "--digests").output)
        assert restored["digest"] == verified["digest"] == f"{findings(filled, self.store())[1].digest:064x}"
        assert sum(day["readings"] for day in verified["digests"]) == restored["restored"]["readings"] == 37

    def store(self):
        import os

        from backend.objects import ObjectStore
        from backend.settings import Settings

        return ObjectStore(Settings.read(os.environ))

    def test_ends_with_3_when_something_is_not_what_it_was(self, store):
        assert self.run("restore", "--into", self.into, "--no-prove").exit_code == 0
        database = Database(self.into)
        with database.write() as connection:
            connection.execute(update(Reading).where(Reading.seq == 2).values(value=-1.0, fault=None))
        database.close()
        outcome = CliRunner().invoke(tools, ["verify"], env={"THERMOGRAPH_DATABASE": self.into})
        assert outcome.exit_code == 3
        assert "row-differs: reading" in outcome.output
