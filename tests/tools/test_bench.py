"""python -m tools bench, small: the figures are what was done, and a violation is found, named and made again."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import tools.bench as commands
from tools.bench import chart, memory, outcome, soak, soak_run

ROOT = Path(__file__).parents[2]


def bench(*words, firmware=ROOT / "firmware", timeout=120):
    environment = {**os.environ, "THERMOGRAPH_FIRMWARE": str(firmware)}
    return subprocess.run(
        [sys.executable, "-m", "tools", "bench", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def test_a_package_that_is_missing_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.delitem(sys.modules, "tools.bench.streams", raising=False)
    told = CliRunner().invoke(commands.bench, ["streams"])
    assert told.exit_code == 78 and "psutil is not installed" in told.stderr and "tools setup" in told.stderr


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


def test_energy_adds_up_and_the_readme_shows_what_it_prints():
    told = json.loads(bench("energy", "--reads", "2000", "--json").stdout)
    assert told["mAs"] == pytest.approx(sum(told["parts"].values()), abs=0.2)
    assert told["mAh_a_day"] == pytest.approx(told["mAs"] / 3600 * 1440, abs=0.1) and 40 < told["days"] < 60
    readme = (ROOT / "firmware" / "README.md").read_text(encoding="utf-8")
    reads = re.search(r"loading, ([0-9,]+) flash reads", readme)[1].replace(",", "")
    assert bench("energy", "--reads", reads).stdout in readme


def test_wear():
    done = bench("wear", "--json")
    assert 8 < json.loads(done.stdout)["1"] < 8.5


PNG = b"\x89PNG\r\n\x1a\n"


def test_a_short_soak_loses_nothing_over_its_kills_and_is_drawn(tmp_path):
    drawn = tmp_path / "soak.png"
    words = ("--minutes", "0.2", "--rate", "500", "--kill-every", "5", "--look-every", "0.5", "--json")
    done = bench("soak", *words, "--chart", str(drawn), timeout=400)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    goals = {goal["name"]: goal["passed"] for goal in told["goals"]}
    # Whether anything grows is not to be seen in seconds, nor on a busy machine.
    wrong = [name for name, passed in goals.items() if not passed and "grew" not in name]
    assert not wrong and len(goals) == 7, (wrong, told["wrong"])
    assert len(told["kills"]) == 2 and told["facts"]["readings sent"] > 1000
    assert any(one["ingest"] for one in told["looks"]) and drawn.read_bytes().startswith(PNG)


def looks(minutes, megabytes, lag=lambda minute: 0.1):
    return [
        soak_run.Look(at, 0, 0, 0, int(megabytes(at / 60) * 1e6), 0, lag(at / 60))
        for at in range(2, int(minutes * 60), 2)
    ]


def test_growth_is_told_from_what_only_goes_up_and_down():
    """Memory that starts anew at each kill is no growth; one MB a minute is, and so is a lag that grows."""
    saw = looks(30, lambda minute: 60 + 20 * (minute % 1))
    assert abs(soak.growth(saw, lambda one: one.ingest / 1e6, 60)) < 1
    leak = looks(30, lambda minute: 60 + 20 * (minute % 1) + minute)
    assert 17 < soak.growth(leak, lambda one: one.ingest / 1e6, 60) < 20
    grown = looks(30, lambda minute: 60 + minute, lag=lambda minute: minute / 10)
    done = soak_run.Soak(1000, looks=grown, sent=1, stored=1, archived=1)
    missed = {goal.name for goal in soak.judge(done, 60).goals if not goal.passed}
    assert missed == {"ingest's memory grew, MB", "lag grew, s"}
    done = soak_run.Soak(1000, looks=looks(30, lambda minute: 60), sent=2, stored=1, archived=0, findings=["one"])
    missed = {goal.name for goal in soak.judge(done, 60).goals if not goal.passed}
    assert missed == {"sent, and not stored", "sent, and not archived", "verify's findings"}


def test_an_outcome_is_drawn(tmp_path):
    made = outcome.Outcome("reading and writing", seconds={"read": [1.0, 1.2], "write": [2.0, 2.2]})
    made.goals = [outcome.Goal("read / write", 1.9, 1.0), outcome.Goal("bytes", 5, 4, at_most=True)]
    chart.draw_outcome(made, tmp_path / "chart.png")
    memory.draw([50_000_000, 90_000_000], "memory", tmp_path / "memory.png")
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in ("chart.png", "memory.png"))


@pytest.mark.parametrize("name", ["ingest", "memory", "archive", "restore", "queries", "soak"])
def test_without_matplotlib_a_chart_is_refused_before_anything_is_measured(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = CliRunner().invoke(commands.bench, [name, "--chart", "never.png"])
    assert done.exit_code == 1 and "thermograph[bench]" in done.output, done.output
