"""The firmware's files, and copying those that differ."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from .repl import FEED, Prompt

# All below these is the firmware's: what it does not name any more is taken away, or it would be loaded instead.
OURS = ("main.py", "thermograph", "umqtt")
# What package.json leaves out, for no ESP32 needs it: the board that is a folder on a PC.
UNIX = ("boards/unix.py", "boards/unix_network.py", "boards/micropython_unix.py")

Progress = Callable[[int, int], None]


def firmware(platform: str, umqtt: Path | None = None) -> dict[str, bytes]:
    """The compiled firmware and umqtt by their names on a board of this sys.platform.

    Raises ThermographError where umqtt is not here and cannot be fetched.
    """
    from backend.run import umqtt as library
    from backend.run.layout import FIRMWARE

    from .. import mpy
    from ..image.filesystem import of_folder

    with tempfile.TemporaryDirectory() as folder:
        mpy.build(FIRMWARE, Path(folder), umqtt or library.find(os.environ) or library.fetch())
        if platform != "esp32":
            for name in UNIX:
                mpy.compile_one(f"thermograph/{name}", FIRMWARE / "thermograph" / name, Path(folder))
        made = of_folder(Path(folder))
    del made["package.json"]  # mip's
    return made


def differing(files: Mapping[str, bytes], hashes: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(to be copied, to be removed). hashes: SHA-256 in hex of what the board has."""
    new = [name for name in sorted(files) if hashes.get(name) != hashlib.sha256(files[name]).hexdigest()]
    return new, sorted(hashes.keys() - files.keys())


def synchronise(prompt: Prompt, files: Mapping[str, bytes], watchdog: bool, progress: Progress) -> tuple[int, int]:
    """Copy what differs, remove what is not the firmware's any more: how many of each. Raises FilesystemFailed.

    watchdog: the board has one that may be running. progress: called with bytes done and bytes in all.
    """
    new, old = differing(files, prompt.hashes(OURS))
    total, done = sum(len(files[name]) for name in new), 0
    if new:
        prompt.make_folders(folders(new))
    # main.py last: without it a board whose copying was cut off waits at its prompt.
    for name in sorted(new, key=lambda name: name == "main.py"):
        if watchdog:
            prompt.run(FEED)
        prompt.write(name, files[name])
        done += len(files[name])
        progress(done, total)
    if old:
        prompt.remove(old)
    return len(new), len(old)


def folders(names: list[str]) -> list[str]:
    """Every folder that these files need, parents first."""
    found = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return sorted(found - {"."})
