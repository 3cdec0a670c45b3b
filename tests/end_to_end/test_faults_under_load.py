"""Faults while readings keep coming: nothing lost, nothing doubled, and the ledger says what waits where.

A full disk is tests/backend/test_small_disk.py; a clock that is an hour off is in what every fleet samples.
"""

import signal
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from tests.end_to_end.judge import account
from tests.end_to_end.kills import DATABASES, Life, Servers
from tests.proxy import BUSY, Proxy
from tests.servers import program, wait_for

OUTAGE = 4.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    for name in ("mosquitto", "weed", "postgres"):
        if not program(name):
            pytest.skip(f"{name} is not installed: python -m tools setup --for test")
    with pytest.MonkeyPatch.context() as patch, Servers(tmp_path_factory.mktemp("faults"), patch.setenv) as servers:
        yield servers


@pytest.fixture(params=DATABASES)
def life(servers, request):
    """A life under load, on a way to S3 that can be broken. It is judged when the test is through with it."""
    with ExitStack() as open_:
        way = Proxy(servers.s3.port)
        open_.callback(way.close)
        life = Life(servers, time.time_ns() % 1_000_000_000, request.param, f"http://127.0.0.1:{way.port}")
        life.way_to_s3 = way
        life.begin(open_)
        with under_load(life.fleet):
            wait_for(lambda: account(life.database).archived, "first archived readings", 60)
            yield life
        life.judge()


@contextmanager
def under_load(fleet):
    """Readings keep coming."""
    enough = threading.Event()

    def sample():
        while not enough.wait(0.1):
            fleet.sample()

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield
    finally:
        enough.set()
        sampling.join()


def archived_more(life):
    """Return when more is archived than was sampled by now."""
    wanted = len(life.fleet.readings)
    wait_for(lambda: account(life.database).archived > wanted, f"archive of more than {wanted} readings", 120)


def test_broker_restarted_three_times(life):
    for _ in range(3):
        life.broker.kill()
        time.sleep(0.5)
        life.broker.start()
        archived_more(life)


def test_database_stopped(life, servers):
    if life.kind == "sqlite":
        # SQLite has no server to stop: somebody holds its lock, as a backup or a stuck process would.
        connection = life.database.engine.connect().execution_options(sqlite_begin="EXCLUSIVE")
        with connection.begin():
            time.sleep(OUTAGE)
        connection.close()
    else:
        servers.postgres.stop()
        time.sleep(OUTAGE)
        servers.postgres.start()
    assert life.fleet.waiting
    archived_more(life)


@pytest.mark.parametrize(
    "fault", [{"answer": BUSY}, {"deaf": True}, {"cut": 1500}], ids=lambda fault: next(iter(fault))
)
def test_s3_busy_or_deaf_after_success_or_cutting_uploads(life, fault):
    for name, value in fault.items():
        setattr(life.way_to_s3, name, value)
    time.sleep(OUTAGE)
    stuck = account(life.database)
    wait_for(lambda: account(life.database).stored > stuck.stored, "readings that are stored meanwhile")
    now = account(life.database)
    # What waits, waits for the archive, and the ledger says so.
    assert now.stored > now.archived
    life.way_to_s3.answer, life.way_to_s3.deaf, life.way_to_s3.cut = None, False, None
    archived_more(life)


def test_all_sent_three_times_in_any_order(life):
    for _ in range(10):
        for _ in range(3):
            life.fleet.send()
        time.sleep(0.1)
    archived_more(life)


def test_two_archivers(life):
    first = life.running["archive"]
    life.start("archive")
    archived_more(life)
    first.kill()
    life.take_lease()
    archived_more(life)


def test_ingest_stopped_and_woken(life):
    ingest = life.running["ingest"]
    ingest.signal(signal.SIGSTOP)
    before = account(life.database).stored
    time.sleep(OUTAGE)
    assert account(life.database).stored == before and life.fleet.waiting
    ingest.signal(signal.SIGCONT)
    archived_more(life)
