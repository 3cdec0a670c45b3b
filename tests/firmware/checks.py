"""Runs the checks of a module here, or each in a MicroPython of its own."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
FIRMWARE = os.environ.get("THERMOGRAPH_FIRMWARE") or str(HERE.parent.parent / "firmware")


def names(module):
    return [name for name in dir(module) if name.startswith("check_")]


def run(where, module, name, request, heap="192k"):
    if where == "cpython":
        getattr(module, name)()
        return
    words = [*request.getfixturevalue("micropython"), "-X", "heapsize=" + heap]
    words += [str(HERE / "run_check.py"), FIRMWARE, module.__name__, name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr
