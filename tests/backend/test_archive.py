"""The archive on moto's S3: each committed reading in one object, whatever fails at whatever point."""

import hashlib
import itertools
import random

import pytest
from sqlalchemy import delete, func, select, update

from backend import freezing, ledger
from backend.archive import Archive
from backend.errors import ObjectStoreUnavailable
from backend.ingest import Ingest
from backend.models import Batch, Newest, Reading, Rollup, Stream
from backend.parquet import ArchivedGap, ArchivedReading, DayDigest, Readings, decode, encode
from backend.verify import Finding, Verification, verify
from tests.backend.archive_parts import archive_all, archived, findings, rows_of
from tests.backend.test_commit import gap, telemetry

pytestmark = pytest.mark.every_database

DAY = 86_400_000


@pytest.fixture
def ingest(database):
    return Ingest(database, bus=None, enrolment="open")


def test_every_committed_reading_is_archived_once_by_day_of_event_time(database, store, ingest):
    ingest.commit([telemetry(1, 4, r=[[0, 0, 1], [DAY, 0, 2], [60_000, 0, 3], [DAY + 60_000, 0, None, "crc"]])])
    archive_all(database, store)
    keys = [entry.key for entry in store.list()]
    assert [key.split("/")[0] for key in keys] == ["day=2025-11-22", "day=2025-11-23"]
    assert sorted(archived(store)) == [("fridge-1", "9f3a1c02", seq) for seq in (1, 2, 3, 4)]
    with database.read() as connection:
        (account,) = ledger.read(connection)
    assert (account.archived, account.waiting_for_archive) == (4, 0)
    assert findings(database, store)[0] == []


def test_what_lies_beyond_a_hole_waits_for_it(database, store, ingest):
    ingest.commit([telemetry(1, 2), telemetry(5, 2)])
    archive_all(database, store)
    assert [seq for *_, seq in archived(store)] == [1, 2]
    ingest.commit([gap(3, 4)])
    archive_all(database, store)
    assert sorted(seq for *_, seq in archived(store)) == [1, 2, 5, 6]


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_small_batch_size_cuts_streams_without_losing_a_row(database, store, ingest, rows):
    ingest.commit(
        [telemetry(1, 10, "a", "aaaaaaaa"), telemetry(1, 5, "b", "bbbbbbbb"), telemetry(1, 1, "c", "cccccccc")]
    )
    archive_all(database, store, rows)
    assert len(archived(store)) == len(set(archived(store))) == 16
    assert findings(database, store)[0] == []


class Broken:
    """A store that fails at each step in turn: before the put, after it, or with an object cut short."""

    def __init__(self, store, chance):
        self._store, self._chance = store, chance

    def put(self, key, body):
        fault = self._chance.choice(["before", "after", "cut", None])
        if fault == "before":
            raise ObjectStoreUnavailable("503")
        self._store.put(key, body[:-1] if fault == "cut" else body)
        if fault == "after":
            raise ObjectStoreUnavailable("timed out after success")

    def size(self, key):
        return self._store.size(key)


@pytest.mark.parametrize("seed", range(3))
def test_a_failing_store_leads_to_the_same_bytes_under_the_same_keys(database, store, ingest, seed):
    chance = random.Random(seed)
    ingest.commit([telemetry(1, 50)])
    broken = Archive(database, Broken(store, chance), rows=7, age=1)
    while broken.freeze():
        pass
    with database.read() as connection:
        frozen = {key: body for key, body in connection.execute(select(Batch.key, Batch.body))}
    for _ in range(200):
        try:
            broken.upload()
            break
        except ObjectStoreUnavailable:
            continue
    assert {entry.key: store.get(entry.key) for entry in store.list()} == frozen
    assert findings(database, store)[0] == []


def test_two_archivers_freeze_each_reading_once(database, store, ingest, monkeypatch):
    ingest.commit([telemetry(1, 20)])
    first, second = (Archive(database, store, rows=100, age=1) for _ in range(2))
    batches = freezing.batches

    def overtaken(*arguments):
        monkeypatch.setattr(freezing, "batches", batches)
        assert second.freeze() == 20
        return batches(*arguments)

    monkeypatch.setattr(freezing, "batches", overtaken)
    assert first.freeze() == 0
    first.upload()
    second.upload()
    assert sorted(seq for *_, seq in archived(store)) == list(range(1, 21))


def test_an_upload_is_counted_once(database, store, ingest):
    ingest.commit([telemetry(1, 5)])
    archive = Archive(database, store, rows=100, age=1)
    archive.freeze()
    with database.read() as connection:
        batch_id = connection.scalar(select(Batch.id))
    archive.upload()
    archive._mark(batch_id)
    with database.read() as connection:
        assert connection.scalar(select(Stream.archived)) == 5


def test_the_same_readings_give_the_same_bytes():
    readings = [
        ArchivedReading(
            "a", "9f3a1c02", seq, "s", "Cel", 1_763_812_345_000 + seq, "ntp", seq / 3, None, 1_763_812_345_900
        )
        for seq in range(1, 2000)
    ]
    body = encode(Readings.of_rows(readings))
    shuffled = random.Random(1).sample(readings, len(readings))
    assert encode(Readings.of_rows(shuffled)) == body
    assert decode(body)[0].rows() == readings


def test_gaps_go_into_the_object_with_the_readings_around_them(database, store, ingest):
    ingest.commit([telemetry(1, 2), gap(3, 4), telemetry(5, 2)])
    archive_all(database, store)
    (entry,) = store.list()
    assert decode(store.get(entry.key))[1] == [ArchivedGap("fridge-1", "9f3a1c02", 3, 4, "flash-full")]
    # A gap that grows after its beginning was archived, and comes with no reading at all.
    ingest.commit([gap(7, 8)])
    archive_all(database, store)
    ingest.commit([gap(9, 9)])
    archive = Archive(database, store, rows=100, age=1)
    assert archive.freeze() == 1
    archive.upload()
    told = sorted(gap for entry in store.list() for gap in decode(store.get(entry.key))[1])
    assert [(gap.first, gap.last) for gap in told] == [(3, 4), (7, 8), (9, 9)]
    found, done = findings(database, store)
    assert (found, done.gaps) == ([], 3)


def test_a_backlog_is_archived_in_whole_days_of_all_streams(database, store, ingest, monkeypatch):
    """Three streams of five days: not an object for each stream and day, but the streams' days together."""
    monkeypatch.setattr(freezing, "LEAST_ROWS", 4)
    for number in range(3):
        rows = [[day * DAY + step, 0, step] for day in range(5) for step in range(4)]
        ingest.commit([telemetry(1, 20, f"d{number}", f"0000000{number}", r=rows)])
    archive_all(database, store, rows=12)
    sizes = [len(rows_of(store, entry.key)) for entry in store.list()]
    assert sizes == [12] * 5
    assert len(set(archived(store))) == 60
    assert findings(database, store)[0] == []


@pytest.mark.parametrize("rows", [10, 17, 25, 49])
def test_no_object_is_small_where_many_readings_wait(database, store, ingest, monkeypatch, rows):
    monkeypatch.setattr(freezing, "LEAST_ROWS", 5)
    for number in range(7):
        ingest.commit([telemetry(1, 50, f"d{number}", f"0000000{number}", r=[[i, 0, i] for i in range(50)])])
    archive_all(database, store, rows=rows)
    assert min(len(rows_of(store, entry.key)) for entry in store.list()) >= 5
    assert sorted(archived(store)) == [(f"d{n}", f"0000000{n}", seq) for n in range(7) for seq in range(1, 51)]
    assert findings(database, store)[0] == []


class TestHotWindow:
    """The readings of the wire's examples are a year old: outside of a window of one day."""

    @pytest.fixture(autouse=True)
    def archive(self, database, store, ingest):
        ingest.commit([telemetry(1, 30, r=[[i * 60_000, 0, i] for i in range(30)]), gap(31, 33)])
        archive_all(database, store, rows=14)
        self.archive = Archive(database, store, rows=14, age=1, hot_days=1)

    def count(self, database):
        with database.read() as connection:
            return connection.scalar(select(func.count()).select_from(Reading))

    def test_what_s3_was_shown_to_hold_leaves_sql(self, database, store, ingest):
        with database.read() as connection:
            before = ledger.read(connection), connection.execute(select(Newest)).all()
            rolled = connection.execute(select(Rollup).order_by(Rollup.width, Rollup.start)).all()
        found, whole = findings(database, store)
        assert found == []
        assert self.archive.drop() == 2
        assert self.archive.drop() == 0
        assert self.count(database) == 0
        with database.read() as connection:
            assert (ledger.read(connection), connection.execute(select(Newest)).all()) == before
            assert connection.execute(select(Rollup).order_by(Rollup.width, Rollup.start)).all() == rolled
        found, done = findings(database, store)
        assert (found, done.digest, done.readings, done.dropped) == ([], whole.digest, 30, 30)

    def test_what_leaves_sql_while_verify_is_at_work_is_not_missed(self, database, store):
        running = verify(database, store, Verification())
        first = list(itertools.takewhile(lambda news: news is not None, running))
        assert self.archive.drop() == 2
        assert [news for news in [*first, *running] if isinstance(news, Finding)] == []

    def test_readings_that_come_again_are_still_known(self, database, store, ingest):
        self.archive.drop()
        assert ingest.commit([telemetry(1, 30, r=[[i * 60_000, 0, i] for i in range(30)])]).stored == 0
        ingest.commit([telemetry(34, 2)])
        archive_all(database, store)
        assert sorted(seq for *_, seq in archived(store)) == [*range(1, 31), 34, 35]
        assert findings(database, store)[0] == []

    def test_no_window_keeps_all(self, database, store):
        assert Archive(database, store, rows=20, age=1).drop() == 0
        assert self.count(database) == 30

    @pytest.mark.parametrize("harm", ["missing", "altered", "other rows"])
    def test_nothing_leaves_sql_whose_object_is_not_what_it_was(self, database, store, harm, caplog):
        key = next(iter(store.list())).key
        if harm == "missing":
            store.delete(key)
        elif harm == "altered":
            store.put(key, store.get(key)[:-1] + b"!")
        else:
            body = encode(Readings.of_rows(rows_of(store, key)[1:]))
            store.put(key, body)
            with database.write() as connection:
                sha256 = hashlib.sha256(body).hexdigest()
                connection.execute(update(Batch).where(Batch.key == key).values(sha256=sha256))
        assert self.archive.drop() == 1
        with database.read() as connection:
            kept = connection.scalar(select(Batch.rows).where(Batch.key == key))
        assert self.count(database) == kept
        assert "stay in SQL" in caplog.text

    def test_a_row_that_is_missing_beside_dropped_ones_is_named(self, database, store, ingest):
        self.archive.drop()
        ingest.commit([telemetry(34, 3)])
        with database.write() as connection:
            connection.execute(delete(Reading).where(Reading.seq == 35))
        (finding,) = findings(database, store)[0]
        assert (finding.kind, "9f3a1c02 seq 35 was" in finding.text) == ("row-missing", True)


class TestVerify:
    @pytest.fixture(autouse=True)
    def archive(self, database, store, ingest):
        ingest.commit([telemetry(1, 30), telemetry(1, 30, "b", "bbbbbbbb")])
        archive_all(database, store, rows=20)
        ingest.commit([telemetry(31, 5)])

    def test_agrees(self, database, store):
        found, done = findings(database, store)
        assert (found, done.readings, done.objects) == ([], 60, 3)

    def test_names_a_deleted_object(self, database, store):
        key = next(iter(store.list())).key
        store.delete(key)
        (finding,) = findings(database, store)[0]
        assert finding.kind == "object-missing"
        assert key in finding.text

    def test_names_an_object_with_one_byte_changed(self, database, store):
        key = next(iter(store.list())).key
        body = bytearray(store.get(key))
        body[len(body) // 2] ^= 1
        store.put(key, bytes(body))
        found = findings(database, store)[0]
        assert any(finding.kind == "object-altered" and key in finding.text for finding in found)

    def test_names_a_value_changed_behind_a_valid_file(self, database, store):
        entry = next(iter(store.list()))
        rows = rows_of(store, entry.key)
        rows[3] = ArchivedReading(**{**vars(rows[3]), "value": 99.0})
        store.put(entry.key, encode(Readings.of_rows(rows)))
        kinds = {finding.kind for finding in findings(database, store)[0]}
        assert kinds == {"object-altered", "row-differs"}

    @pytest.mark.parametrize("seq", [1, 17, 30, 33])
    def test_names_a_removed_sql_row(self, database, store, seq):
        with database.write() as connection:
            stream = connection.scalar(select(Stream.id).where(Stream.stream == "9f3a1c02"))
            connection.execute(delete(Reading).where(Reading.stream_id == stream, Reading.seq == seq))
        found = findings(database, store)[0]
        assert any(finding.kind == "row-missing" and f"9f3a1c02 seq {seq} " in finding.text for finding in found)

    def test_names_an_object_nobody_wrote(self, database, store):
        store.put("day=2025-11-22/stranger.parquet", b"PAR1")
        (finding,) = findings(database, store)[0]
        assert finding.kind == "object-unknown"

    def test_names_a_miscounted_ledger(self, database, store):
        with database.write() as connection:
            connection.execute(update(Stream).where(Stream.stream == "bbbbbbbb").values(archived=29))
        (finding,) = findings(database, store)[0]
        assert finding.kind == "ledger"

    def test_its_digest_is_of_the_rows_whatever_objects_they_lie_in(self, database, store):
        rows = [row for entry in reversed(list(store.list())) for row in reversed(rows_of(store, entry.key))]
        expected = list(Readings.of_rows(rows).digests())
        assert [(digest.device, digest.readings) for digest in expected] == [("b", 30), ("fridge-1", 30)]
        done = Verification()
        found = [digest for digest in verify(database, store, done) if isinstance(digest, DayDigest)]
        assert sorted(found, key=lambda digest: digest.device) == expected
        assert done.digest == sum(digest.digest for digest in expected) % 2**256
