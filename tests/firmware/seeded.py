"""Seeded bugs: seeded_bugs/NAME.bug has a sentence, the file, the test that finds it, and old and new texts."""

import os
import pathlib
import shutil
import subprocess
import sys
from collections import namedtuple

HERE = pathlib.Path(__file__).parent
FIRMWARE = HERE.parent.parent / "firmware"

# changes: [(old, new)]
Bug = namedtuple("Bug", ("name", "about", "file", "test", "changes"))


def bugs():
    return [parse(path) for path in sorted((HERE / "seeded_bugs").glob("*.bug"))]


def parse(path):
    head, *changes = path.read_text().split("--- old\n")
    about, file, test = head.splitlines()
    pairs = [change.removesuffix("\n").split("\n--- new\n") for change in changes]
    return Bug(path.stem, about, file.removeprefix("file "), test.removeprefix("test "), pairs)


def plant(bug, firmware):
    """Change this copy of the firmware. A text that is not there exactly once is no bug any more: mend its file."""
    path = firmware / bug.file
    text = path.read_text()
    for old, new in bug.changes:
        assert text.count(old) == 1, "%s: in %s this is %d times: %s" % (bug.name, bug.file, text.count(old), old)
        text = text.replace(old, new)
    path.write_text(text)


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


def run_all(firmware, timeout=1800):
    """The whole suite of the firmware; (exit code, output)."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", str(HERE)]
    command += ["--ignore", str(HERE / "test_seeded_bugs.py")]
    environment = {**os.environ, "THERMOGRAPH_FIRMWARE": str(firmware)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, done.stdout + done.stderr
