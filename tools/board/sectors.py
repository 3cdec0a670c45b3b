"""An Outbox kept as a folder of sector files (firmware up to 5a0d225), as the partition `outbox` would hold it.

A sector's place in a ring is its counter modulo the ring's length; nothing else in it depends on the place. So another
length moves sectors, and changes none. The bytes: firmware/thermograph/sector.py.
"""

import re
import struct
from binascii import crc32
from collections.abc import Iterable, Mapping

from ..image.partitions import OUTBOX_PARTITION, SECTOR

FOLDER = "outbox"
BLANK = b"\xff" * SECTOR
ROOM = OUTBOX_PARTITION.size // SECTOR
_NAME = re.compile(rf"{FOLDER}/\d+")
_HEADER = struct.Struct("<2sBB4sI16sI")  # magic, version, first slot, stream, counter, base and more, CRC-32


def is_ring(sizes: Mapping[str, int]) -> bool:
    """Whether the files of the folder `outbox` are sectors of one ring. sizes: in bytes, of the files below it."""
    return bool(sizes) and all(_NAME.fullmatch(name) and size == SECTOR for name, size in sizes.items())


def header(sector: bytes) -> tuple[str, int] | None:
    """(stream, counter) of the first of its two headers that is whole; None for a sector that holds none."""
    for start in (0, _HEADER.size):
        magic, version, _, stream, counter, _, crc = _HEADER.unpack_from(sector, start)
        if magic == b"TG" and version == 1 and crc == crc32(sector[start : start + _HEADER.size - 4]):
            return stream.hex(), counter
    return None


def placed(ring: Iterable[bytes], room: int = ROOM) -> dict[int, bytes]:
    """Its sectors by their index in a ring of `room` sectors; {} when none has a header.

    Left out is what the Outbox does not look at: blank or unreadable sectors, those of an older stream, and the one
    that a full ring has given up. ValueError when more of them are in use than there is room for.
    """
    sectors = list(ring)
    found = [(head, sector) for sector in sectors if (head := header(sector))]
    if not found:
        return {}
    stream, newest = max((head for head, _ in found), key=lambda head: head[1])
    oldest = newest - len(sectors) + 2
    live = {head[1]: sector for head, sector in found if head[0] == stream and head[1] >= oldest}
    if newest - min(live) + 2 > room:
        raise ValueError(f"{len(live)} sectors are in use, and the partition has room for {room - 1}")
    return {counter % room: sector for counter, sector in live.items()}


def stream(ring: Iterable[bytes]) -> str | None:
    """8 hex digits of the newest sector's; None when none has a header."""
    heads = [head for sector in ring if (head := header(sector))]
    return max(heads, key=lambda head: head[1])[0] if heads else None
