"""Seeded bugs of the firmware: seeded_bugs/NAME.bug, each found by the check that it names (tests/seeded.py)."""

import os
import pathlib
import shutil
import subprocess
import sys

from tests.seeded import plant, read  # noqa: F401  plant is for who loads this module

HERE = pathlib.Path(__file__).parent
FIRMWARE = HERE.parent.parent / "firmware"
NAME = "firmware"


def bugs():
    return read(HERE / "seeded_bugs")


def copy(folder):
    return pathlib.Path(shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("__pycache__")))


def run(firmware, words, timeout=60):
    """Run one check on this firmware, by CPython; (exit code, output)."""
    from backend.run import umqtt

    command = [sys.executable, "-B", str(HERE / "run_check.py"), str(firmware), *words]
    environment = {**os.environ, "PYTHONPATH": str(umqtt.find(os.environ))}
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stdout + done.stderr


def run_checks(firmware, tests):
    """The highest exit code of these checks."""
    return max(run(firmware, test.split())[0] for test in tests)


def run_all(firmware, timeout=1800):
    """The whole suite of the firmware; (exit code, output)."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", str(HERE)]
    command += ["--ignore", str(HERE / "test_seeded_bugs.py")]
    environment = {**os.environ, "THERMOGRAPH_FIRMWARE": str(firmware)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, done.stdout + done.stderr
