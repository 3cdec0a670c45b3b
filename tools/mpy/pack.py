"""thermograph.pack: many files as one, in the layout that firmware/packfs.py reads and describes."""

import binascii
import struct
from collections.abc import Mapping
from pathlib import PurePosixPath

from backend.errors import ThermographError

_MAGIC = b"TGP1"
_HEAD = struct.Struct("<4sIII")


class PackError(ThermographError):
    """Two paths that packfs.py could not tell apart."""

    exit_code = 65


def build(files: Mapping[str, bytes]) -> bytes:
    """files: by name, such as "thermograph/node.mpy", in the order in which they are to lie. Raises PackError."""
    folders = sorted({str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."})
    entries = {name: _checked(content) for name, content in files.items()} | dict.fromkeys(folders, b"")
    hashes = {_hash(name): name for name in entries}
    for name in entries:
        if hashes[_hash(name)] != name:
            raise PackError(f"{name} and {hashes[_hash(name)]} have the same hash.", "Rename one of them.")
    at = _HEAD.size + 6 * len(entries) + 3
    offsets = [at]
    for content in entries.values():
        offsets.append(at := at + len(content))
    index = b"".join(hashes) + b"".join(offset.to_bytes(3, "little") for offset in offsets)
    counts = struct.pack("<II", at, len(entries))
    return _MAGIC + struct.pack("<I", binascii.crc32(counts + index)) + counts + index + b"".join(entries.values())


def _checked(content: bytes) -> bytes:
    return struct.pack("<I", binascii.crc32(content)) + content


def _hash(name: str) -> bytes:
    return binascii.crc32(f"/{name}".encode()).to_bytes(4, "little")[:3]
