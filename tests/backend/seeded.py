"""Seeded bugs of the backend: seeded_bugs/NAME.bug, each found by the test that it names (tests/seeded.py)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.seeded import Bug, plant, read  # noqa: F401  plant is for who loads this module

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAME = "backend"
# A test that checks nothing but texts would find any change, and prove nothing.
SUITE = ("tests/backend", "tests/end_to_end/test_kills.py")


def bugs() -> list[Bug]:
    return read(HERE / "seeded_bugs")


def copy(folder: Path) -> Path:
    """A checkout with all that the backend's tests need."""
    leave = shutil.ignore_patterns("__pycache__", "vendor", "seeded_bugs")
    for name in ("backend", "tools", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(checkout: Path, words: list[str], timeout: float = 900) -> tuple[int, str]:
    """Run these tests on this checkout; (exit code, output)."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *words]
    # Where it is run from must not name the tests' ports or find the first checkout's modules.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    done = subprocess.run(
        command, cwd=checkout, env=environ, capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stdout + done.stderr


def run_checks(checkout: Path, tests: list[str]) -> int:
    """The exit code of these tests together."""
    return run(checkout, tests)[0]


def run_all(checkout: Path, timeout: float = 1800) -> tuple[int, str]:
    """The suite that guards the data path; (exit code, output)."""
    suite = [*SUITE, "--ignore", "tests/backend/test_seeded_bugs.py"]
    return run(checkout, suite, timeout)
