"""The failpoints are where they are said to be, and kill; 200 kills break no promise. More: `tools bench kills`."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from backend.failpoints import POINTS
from tests.end_to_end.kills import PARTS, Life, plan, points_of
from tests.end_to_end.stage import DATABASES, Servers
from tests.end_to_end.world import ROOT
from tests.servers import program

KILLS = 200
LIVES_AT_ONCE = 6


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    for name in ("mosquitto", "weed", "postgres"):
        if not program(name):
            pytest.skip(f"{name} is not installed: python -m tools setup --for test")
    with pytest.MonkeyPatch.context() as patch, Servers(tmp_path_factory.mktemp("kills"), patch.setenv) as servers:
        yield servers


def test_every_point_stands_in_the_code_and_is_listed():
    reached = {
        point
        for path in (ROOT / "backend").rglob("*.py")
        for point in re.findall(r'failpoints\.reach\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert reached == set(POINTS)


def test_lives_of_twenty_seeds_strike_every_point():
    struck = {kill.point for seed in range(7, 27) for step in plan(seed) for kill in step}
    assert struck == set(POINTS)


def test_after_two_hundred_kills_what_was_sampled_is_in_s3_once(servers):
    seed = int(time.time()) % 1_000_000 * 1000
    lives, planned = [], 0
    while planned < KILLS:
        lives += [Life(servers, seed, kind) for kind in DATABASES]
        planned += len(DATABASES) * sum(map(len, plan(seed)))
        seed += 1
    with ThreadPool(LIVES_AT_ONCE) as pool:
        pool.map(Life.run, lives)
    proven = {kind: sum((life.proven for life in lives if life.kind == kind), Counter()) for kind in DATABASES}
    assert sum(count.total() for count in proven.values()) >= KILLS
    for kind in DATABASES:
        assert proven[kind].keys() >= {point for part in PARTS for point in points_of(part)}


def test_a_command_of_its_own_is_killed_where_its_environment_says(servers):
    settings = servers.settings.environment() | {"THERMOGRAPH_DATABASE": f"sqlite:///{servers.folder}/own.db"}
    environ = os.environ | servers.environ | settings
    subprocess.run([sys.executable, "-m", "backend", "migrate"], cwd=ROOT, env=environ, check=True, timeout=60)
    killed = {**environ, "THERMOGRAPH_FAILPOINT": "archive.leased:1"}
    done = subprocess.run([sys.executable, "-m", "backend", "archive"], cwd=ROOT, env=killed, check=False, timeout=60)
    assert done.returncode == -9


def test_a_point_that_does_not_exist_is_refused():
    environ = os.environ | {"THERMOGRAPH_FAILPOINT": "ingest.nowhere:1"}
    done = subprocess.run(
        [sys.executable, "-m", "backend", "archive"], cwd=Path(ROOT), env=environ, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 78
    assert "ingest.nowhere" in done.stderr and "ingest.taken" in done.stderr and "Traceback" not in done.stderr
