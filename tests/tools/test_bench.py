"""python -m tools bench, small: the figures are what was done, and a violation is found, named and made again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def bench(*words, firmware=ROOT / "firmware"):
    environment = {**os.environ, "THERMOGRAPH_FIRMWARE": str(firmware)}
    return subprocess.run(
        [sys.executable, "-m", "tools", "bench", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def broken(tmp_path):
    """A firmware that does not settle what a power cut left half-way."""
    sys.path.append(str(ROOT / "tests" / "firmware"))
    import seeded

    firmware = seeded.copy(tmp_path / "firmware")
    (bug,) = [bug for bug in seeded.bugs() if bug.name == "not_settled"]
    seeded.plant(bug, firmware)
    return firmware


def test_crash_counts_what_it_cut():
    done = bench("crash", "--cuts", "1000", "--seed", "7", "--jobs", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["cuts"] >= 1000 and told["seed"] == 7 and not told["broken"]
    assert sum(told["kinds"].values()) == told["cuts"] and told["nested"] > told["cuts"] / 10
    modes = ("before", "half", "mixed", "after", "weak")
    assert {f"{kind} {mode}" for kind in ("record", "header", "seal", "erase") for mode in modes} <= set(told["kinds"])


def test_a_broken_promise_is_named_and_made_again(broken):
    done = bench("crash", "--cuts", "1000", "--seed", "5", "--jobs", "1", "--json", firmware=broken)
    assert done.returncode == 1
    for cut, what in list(json.loads(done.stdout)["broken"].items())[:2]:
        again = bench("crash", "--replay", cut, firmware=broken)
        assert again.returncode == 1 and what in again.stdout + again.stderr, (cut, again.stdout, again.stderr)
    shown = bench("crash", "--cuts", "1000", "--seed", "5", "--jobs", "1", firmware=broken)
    assert "python -m tools bench crash --replay" in shown.stdout


def test_a_good_cut_can_be_replayed_too():
    done = bench("crash", "--replay", "3.40.mixed")
    assert done.returncode == 0 and "nothing lost" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("words", [("crash", "--replay", "never"), ("fuzz", "--replay", "7")])
def test_a_name_that_is_none_is_a_usage_error(words):
    done = bench(*words)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_wear():
    done = bench("wear", "--json")
    assert 8 < json.loads(done.stdout)["1"] < 8.5
