"""MicroPython on this machine: the interpreter that runs the firmware as a board would.

Optional for a run (CPython takes its place), wanted by the tests. `python -m tools setup` gets it.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .layout import TOOLS

VARIABLE = "THERMOGRAPH_MICROPYTHON"
# 1.24 brought `tls` and `vfs` to the unix port as the firmware uses them.
OLDEST = (1, 24)
UNPACKED = TOOLS / "micropython"
UNPACKED_32 = TOOLS / "micropython-i386"


def find(environ: Mapping[str, str], unpacked: Path = UNPACKED) -> list[str] | None:
    """The command that starts MicroPython: what the variable says, else the one on PATH, else the one unpacked."""
    if environ.get(VARIABLE):
        return shlex.split(environ[VARIABLE])
    installed = shutil.which("micropython", path=environ.get("PATH"))
    for command in ([installed] if installed else None, unpacked_command(unpacked)):
        if command and (version(command) or (0, 0)) >= OLDEST:
            return command
    return None


def find_32(unpacked: Path = UNPACKED_32) -> list[str] | None:
    """The command that starts a 32-bit MicroPython: its objects have the sizes of an ESP32's. For tests of memory."""
    command = unpacked_command(unpacked)
    return command if command and (version(command) or (0, 0)) >= OLDEST else None


def unpacked_command(folder: Path) -> list[str] | None:
    """A newer Debian's program needs that Debian's C library: its own loader starts it, this system is not touched."""
    program = folder / "usr" / "bin" / "micropython"
    loader = next(folder.glob("usr/lib/*/ld-linux*.so.*"), None)
    if loader is None or not program.is_file():
        return None
    return [str(loader), "--library-path", str(loader.parent), str(program)]


def version(command: list[str]) -> tuple[int, int] | None:
    """Of the interpreter; None when it is none, or does not start."""
    script = "import sys; print(sys.implementation.name, sys.implementation.version[0], sys.implementation.version[1])"
    try:
        answer = subprocess.run([*command, "-c", script], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.fullmatch(r"micropython (\d+) (\d+)\s*", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None
