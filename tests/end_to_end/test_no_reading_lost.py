"""The promise, with real parts and real faults: what was sampled is in S3 exactly once, or in a gap with its cause."""

import os
import random
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from tests.end_to_end.world import ROOT
from tests.proxy import BUSY
from tests.servers import wait_for


def test_broker_killed_and_restarted_empty(world):
    device = world.add_device()
    device.sample_more(30)
    for _ in range(3):
        world.broker.kill()
        world.run_for(2)
        world.broker.start()
        device.sample_more(40)
    assert world.assert_nothing_lost_or_doubled(device).lost == 0


@pytest.mark.every_database
def test_ingest_killed_twenty_times_at_random(world):
    device = world.add_device(interval=0.05)
    device.sample_more(20)
    chance = random.Random(20)
    for _ in range(20):
        world.run_for(chance.uniform(0.05, 1.0))
        world.ingest.kill()
        world.ingest.start()
    assert world.assert_nothing_lost_or_doubled(device).lost == 0


def test_device_killed_ten_times(world):
    device = world.add_device(interval=0.05)
    chance = random.Random(10)
    for _ in range(10):
        device.sample_more(10)
        world.run_for(chance.uniform(0.0, 1.0))
        device.kill()
        device.start()
    device.sample_more(10)
    world.assert_nothing_lost_or_doubled(device)


def test_s3_answering_503_for_30_s(world):
    device = world.add_device()
    device.sample_more(50)
    world.way_to_s3.answer = BUSY
    world.run_for(30)
    world.way_to_s3.answer = None
    assert world.assert_nothing_lost_or_doubled(device).lost == 0


def test_database_stopped_for_30_s(world, request):
    device = world.add_device()
    device.sample_more(50)
    if world.database.is_sqlite:
        # SQLite has no server to stop: somebody holds its lock, as a backup or a stuck process would.
        connection = world.database.engine.connect().execution_options(sqlite_begin="EXCLUSIVE")
        with connection.begin():
            world.run_for(30)
        connection.close()
    else:
        server = request.getfixturevalue("postgres")
        server.stop()
        world.run_for(30)
        server.start()
    assert world.ingest.process.poll() is None
    assert world.assert_nothing_lost_or_doubled(device).lost == 0


def test_network_silent_for_30_s_while_sampling_keeps_its_schedule(world):
    device = world.add_device(interval=1)
    device.sample_more(5)
    world.network.hang()
    world.run_for(30)
    world.network.resume()
    device.sample_more(40)
    assert world.assert_nothing_lost_or_doubled(device).lost == 0
    times = [row.t for row in sorted(world.archived(), key=lambda row: row.seq)]
    assert max(abs(t - times[0] - n * 1000) for n, t in enumerate(times)) < 1000
    assert max(later - earlier for earlier, later in pairwise(times)) < 2000


def verify(world):
    environment = os.environ | world.settings.environment()
    command = [sys.executable, "-m", "tools", "verify"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_verify_says_what_was_deleted_altered_or_removed(world):
    device = world.add_device()
    device.sample_more(60)
    world.assert_nothing_lost_or_doubled(device)
    device.stop()
    wait_for(lambda: not world.ledgers()[0].waiting_for_archive, "archive of the last readings")
    good = verify(world)
    assert good.returncode == 0, good.stdout + good.stderr
    entry = next(iter(world.store.list()))
    body = world.store.get(entry.key)

    world.store.delete(entry.key)
    result = verify(world)
    assert result.returncode == 3
    assert re.search(rf"object-missing.*{re.escape(entry.key)}", result.stdout)

    changed = bytearray(body)
    changed[len(body) // 2] ^= 0x10
    world.store.put(entry.key, bytes(changed))
    result = verify(world)
    assert result.returncode == 3
    assert re.search(rf"object-altered.*{re.escape(entry.key)}", result.stdout)

    world.store.put(entry.key, body)
    with world.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM readings WHERE seq = 7")
    result = verify(world)
    assert result.returncode == 3
    assert re.search(r"row-missing.*fridge-1 [0-9a-f]{8} seq 7 ", result.stdout)
