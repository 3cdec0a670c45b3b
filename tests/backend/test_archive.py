"""The archive on moto's S3: each committed reading in one object, whatever fails at whatever point."""

import random
import uuid

import pytest
from moto import mock_aws
from sqlalchemy import delete, select, update

from backend import ledger
from backend.archive import Archive
from backend.errors import ObjectStoreUnavailable
from backend.ingest import Ingest
from backend.models import Batch, Reading, Stream
from backend.objects import ObjectStore
from backend.parquet import ArchivedReading, decode, encode
from backend.settings import Settings
from backend.verify import Verification, verify
from tests.backend.test_commit import gap, telemetry

DAY = 86_400_000


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield


@pytest.fixture
def store(s3):
    store = ObjectStore(Settings(s3_bucket=f"archive-{uuid.uuid4().hex}"))
    store.create_bucket()
    return store


@pytest.fixture
def ingest(database):
    return Ingest(database, bus=None, enrolment="open")


def archived(store):
    return [(row.device, row.stream, row.seq) for entry in store.list() for row in decode(store.get(entry.key))]


def findings(database, store):
    done = Verification()
    return [finding for finding in verify(database, store, done) if finding], done


def archive_all(database, store, rows=10_000):
    archive = Archive(database, store, rows=rows, age=1)
    while archive.freeze():
        archive.upload()


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
    from backend import archive as module

    batches = module._batches

    def overtaken(rows):
        monkeypatch.setattr(module, "_batches", batches)
        assert second.freeze() == 20
        return batches(rows)

    monkeypatch.setattr(module, "_batches", overtaken)
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
    body = encode(readings)
    shuffled = random.Random(1).sample(readings, len(readings))
    assert encode(shuffled) == body
    assert decode(body) == readings


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
        rows = decode(store.get(entry.key))
        rows[3] = ArchivedReading(**{**vars(rows[3]), "value": 99.0})
        store.put(entry.key, encode(rows))
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
        expected = Verification()
        for entry in reversed(list(store.list())):
            for row in reversed(decode(store.get(entry.key))):
                expected.count(row)
        assert findings(database, store)[1].digest == expected.digest
