"""The board's file system, as littlefs bytes: what MicroPython mounts at / from the partition `vfs`.

The same files give the same bytes: no times are kept (MicroPython reads a missing one as 0).
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from backend.errors import ThermographError

from .partitions import SECTOR, VFS_PARTITION

# As MicroPython's VfsLfs2 formats and mounts (extmod/vfs_lfs.c, vfs_lfsx.c).
_ACCESS = 32
_CACHE = 4 * _ACCESS
_BLOCK_CYCLES = 100


class FilesystemFull(ThermographError):
    exit_code = 73


def build(files: Mapping[str, bytes], size: int = VFS_PARTITION.size) -> bytes:
    """A littlefs2 of `size` bytes with files by name, such as "thermograph/node.mpy". Raises FilesystemFull."""
    from littlefs import LittleFS, LittleFSError

    made = LittleFS(**_configuration(size))
    try:
        for name in sorted(files):
            folder = PurePosixPath(name).parent
            if folder.parts:
                made.makedirs(str(folder), exist_ok=True)
            with made.open(name, "wb") as file:
                file.write(files[name])
    except LittleFSError as error:
        total = sum(map(len, files.values()))
        raise FilesystemFull(
            f"{len(files)} files, {total:,} bytes, do not fit into the {size:,} of vfs: {error}"
        ) from None
    finally:
        made.unmount()
    return bytes(made.context.buffer)


def read(data: bytes) -> dict[str, bytes]:
    """The files of a littlefs2. ValueError if it is none."""
    from littlefs import LittleFS, LittleFSError

    made = LittleFS(**_configuration(len(data)), mount=False)
    made.context.buffer = bytearray(data)
    try:
        made.mount()
    except LittleFSError as error:
        raise ValueError(f"no littlefs: {error}") from None
    found = {}
    for folder, _, names in made.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with made.open(path, "rb") as file:
                found[path.lstrip("/")] = file.read()
    made.unmount()
    return found


def _configuration(size: int) -> dict[str, Any]:
    return {
        "block_size": SECTOR,
        "block_count": size // SECTOR,
        "read_size": _ACCESS,
        "prog_size": _ACCESS,
        "lookahead_size": _ACCESS,
        "cache_size": _CACHE,
        "block_cycles": _BLOCK_CYCLES,
    }
