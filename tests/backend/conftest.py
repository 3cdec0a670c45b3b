"""A bucket on moto's S3, in this process, for what does not depend on the server; and an archive of two days in it."""

import uuid

import pytest
from moto import mock_aws

from backend import chain
from backend.ingest import Ingest
from backend.objects import ObjectStore
from backend.settings import Settings
from tests.backend.archive_parts import archive_all
from tests.backend.compaction_parts import DAY, DAYS
from tests.backend.test_commit import gap, telemetry


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


@pytest.fixture
def filled(database, store, ingest):
    """Two days, two devices, gaps, ten objects or so."""
    rows = [[i * (DAY // 24), 0, i / 3] for i in range(30)]
    ingest.commit([telemetry(1, 30, r=rows), gap(31, 35), telemetry(36, 2, r=[[0, 0, None, "crc"], [60_000, 0, 1.5]])])
    ingest.commit([telemetry(1, 9, "b", "bbbbbbbb")])
    archive_all(database, store, rows=8)
    assert {day: len(entries) > 1 for day, entries in chain.days(store).items()} == dict.fromkeys(DAYS, True)
    return database
