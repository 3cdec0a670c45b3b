"""SQLite on a disk of 1 MB: a full one loses nothing, and ingest goes on once there is space again."""

import os
import subprocess

import pytest
from sqlalchemy import func, select

from backend.database import Database
from backend.errors import DatabaseUnavailable
from backend.ingest import Ingest
from backend.models import Reading
from tests.backend.test_commit import telemetry
from tests.servers import program

MEGABYTE = 1_048_576


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = [program("mount") or "mount", "-t", "tmpfs", "-o", f"size={MEGABYTE}", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a disk of 1 MB")
    yield folder
    subprocess.run([program("umount"), "-l", str(folder)], check=True)


@pytest.fixture
def database(disk):
    database = Database(f"sqlite:///{disk}/thermograph.db")
    database.migrate()
    yield database
    database.close()


def fill(disk):
    """Take what is free, but for a little; the file that takes it."""
    space = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(b"x" * max(0, space.f_bavail * space.f_bsize - 60_000))
    return filler


def test_a_full_disk_takes_nothing_half_and_all_of_it_once_there_is_space(disk, database):
    ingest = Ingest(database, bus=None, enrolment="open")
    filler = fill(disk)
    done = 0
    with pytest.raises(DatabaseUnavailable, match="full"):
        for group in range(100):
            ingest.commit([telemetry(group * 100 + 1, 100)])
            done = group + 1
    filler.unlink()
    for group in range(done, done + 20):
        assert ingest.commit([telemetry(group * 100 + 1, 100)]).acks[0].seq == group * 100 + 100
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Reading)) == (done + 20) * 100


def test_the_log_alone_does_not_fill_a_small_disk(disk, database):
    """3,000 readings are some 0.3 MB; every commit writes its pages again, some 3 MB in all."""
    ingest = Ingest(database, bus=None, enrolment="open")
    for seq in range(1, 3001, 10):
        ingest.commit([telemetry(seq, 10)])
    assert sum(file.stat().st_size for file in disk.iterdir()) < MEGABYTE
