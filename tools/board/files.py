"""The firmware's files, and copying those that differ."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from .. import mpy
from .repl import FEED, Prompt

# What is the firmware's on a board: these files, and all below these folders, which older releases had.
OURS = (mpy.MAIN, mpy.PACKFS, mpy.PACK, "packfs.py", "thermograph", "umqtt")

# A folder takes two sectors of littlefs. One that holds a file of somebody else stays.
EMPTY_FOLDERS = """
import os
for name in {names!r}:
    try:
        os.rmdir(name)
    except OSError:
        pass
"""

Progress = Callable[[int, int], None]


def firmware(platform: str, umqtt: Path | None = None) -> dict[str, bytes]:
    """The firmware by its files' names on a board of this sys.platform, in the order in which they are copied.

    Raises ThermographError where umqtt is not here and cannot be fetched.
    """
    from backend.run.layout import FIRMWARE

    return mpy.release(FIRMWARE, umqtt, platform)


def differing(files: Mapping[str, bytes], hashes: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(to be copied, to be removed). hashes: SHA-256 in hex of what the board has."""
    new = [name for name in files if hashes.get(name) != hashlib.sha256(files[name]).hexdigest()]
    return new, sorted(hashes.keys() - files.keys())


def synchronise(prompt: Prompt, files: Mapping[str, bytes], watchdog: bool, progress: Progress) -> tuple[int, int]:
    """Copy what differs, remove what is not the firmware's any more: how many of each. Raises FilesystemFailed.

    watchdog: the board has one that may be running. progress: called with bytes done and bytes in all.
    """
    new, old = differing(files, prompt.hashes(OURS))
    total, done = sum(len(files[name]) for name in new), 0
    # main.py is the last. A cut leaves one that starts what it knows: older ones take no notice of the pack, and newer
    # ones none of the folders, which go when all that is new is there.
    for name in new:
        if watchdog:
            prompt.run(FEED)
        prompt.write(name, files[name])
        done += len(files[name])
        progress(done, total)
    if old:
        prompt.remove(old)
        prompt.run(EMPTY_FOLDERS.format(names=folders(old)))
    return len(new), len(old)


def folders(names: list[str]) -> list[str]:
    """Every folder that these files lie in, the innermost first."""
    found = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return sorted(found - {"."}, reverse=True)
