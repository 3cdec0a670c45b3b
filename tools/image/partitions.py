"""The flash's partition table: ours, as bytes and back.

The layout is Espressif's ("Partition Tables" in the ESP-IDF programming guide): entries of 32 bytes, then one with the
MD5 of those before it, then 0xFF. The table lies at 0x8000 and has a sector of flash to itself.

Since MicroPython 1.26 its own table names no filesystem: at start it registers a partition `vfs`, from the end of the
last one to the end of the flash, but only where the table has none of that name. Ours has one: so ours counts.
"""

import hashlib
import struct
from dataclasses import dataclass

from backend.errors import ThermographError

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00
FLASH_SIZE = 4 * 1024 * 1024
SECTOR = 4096

APP, DATA = 0, 1
FACTORY = 0x00
PHY, NVS, OUTBOX, LITTLEFS = 0x01, 0x02, 0x40, 0x83

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_BLANK = b"\xff" * _ENTRY.size


class PartitionError(ThermographError):
    """A table that no bootloader would take, or that is not where it should be."""

    exit_code = 65


@dataclass(frozen=True)
class Partition:
    """name: at most 15 ASCII characters; offset and size in bytes, whole sectors."""

    name: str
    kind: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size


NVS_PARTITION = Partition("nvs", DATA, NVS, 0x9000, 0x6000)
PHY_PARTITION = Partition("phy_init", DATA, PHY, 0xF000, 0x1000)
APP_PARTITION = Partition("factory", APP, FACTORY, 0x10000, 0x1F0000)
VFS_PARTITION = Partition("vfs", DATA, LITTLEFS, 0x200000, 0x100000)
# A subtype of our own (0x40 to 0xFE are free): nothing but the firmware's Outbox looks into it.
OUTBOX_PARTITION = Partition("outbox", DATA, OUTBOX, 0x300000, 0x100000)

TABLE = (NVS_PARTITION, PHY_PARTITION, APP_PARTITION, VFS_PARTITION, OUTBOX_PARTITION)


def build(partitions: tuple[Partition, ...] = TABLE) -> bytes:
    """The table's TABLE_SIZE bytes. PartitionError if partitions overlap, are unaligned or leave the flash."""
    check(partitions)
    entries = b"".join(_encode(partition) for partition in partitions)
    entries += _MD5_MAGIC + hashlib.md5(entries, usedforsecurity=False).digest()
    return entries.ljust(TABLE_SIZE, b"\xff")


def parse(data: bytes) -> tuple[Partition, ...]:
    """The partitions of a table that begins with `data`; PartitionError if it is none, or its MD5 is wrong.

    A table without an MD5 is taken: old ones have none.
    """
    found: list[Partition] = []
    for start in range(0, min(len(data), TABLE_SIZE) - _ENTRY.size + 1, _ENTRY.size):
        entry = data[start : start + _ENTRY.size]
        if entry == _BLANK:
            return _not_empty(found)
        if entry[:16] == _MD5_MAGIC:
            if hashlib.md5(data[:start], usedforsecurity=False).digest() != entry[16:]:
                raise PartitionError(
                    "the partition table's MD5 is wrong: it was damaged, or cut off while it was written"
                )
            return _not_empty(found)
        found.append(_decode(entry, start))
    raise PartitionError("the partition table has no end")


def check(partitions: tuple[Partition, ...]) -> None:
    """PartitionError for what the ROM's bootloader or ESP-IDF would refuse or misread."""
    free_from = TABLE_OFFSET + SECTOR
    for partition in sorted(partitions, key=lambda one: one.offset):
        name = partition.name
        if not 0 < len(name) <= 15 or not name.isascii():
            raise PartitionError(f"partition {name!r}: a name has 1 to 15 ASCII characters")
        alignment = 0x10000 if partition.kind == APP else SECTOR
        if partition.offset % alignment or partition.size % SECTOR or partition.size == 0:
            raise PartitionError(f"partition {name}: {partition.offset:#x}+{partition.size:#x} is not aligned")
        if partition.offset < free_from:
            raise PartitionError(f"partition {name} at {partition.offset:#x} overlaps what ends at {free_from:#x}")
        free_from = partition.end
    if free_from > FLASH_SIZE:
        raise PartitionError(f"the partitions end at {free_from:#x}, after the flash's {FLASH_SIZE:#x} bytes")
    if len({partition.name for partition in partitions}) != len(partitions):
        raise PartitionError("two partitions have the same name")


def _encode(partition: Partition) -> bytes:
    name = partition.name.encode("ascii")
    return _ENTRY.pack(
        _MAGIC, partition.kind, partition.subtype, partition.offset, partition.size, name, partition.flags
    )


def _decode(entry: bytes, start: int) -> Partition:
    magic, kind, subtype, offset, size, name, flags = _ENTRY.unpack(entry)
    if magic != _MAGIC:
        raise PartitionError(f"no partition table: its byte {start} begins neither an entry nor the end")
    text = name.split(b"\0")[0].decode("ascii", "replace")
    return Partition(text, kind, subtype, offset, size, flags)


def _not_empty(found: list[Partition]) -> tuple[Partition, ...]:
    if not found:
        raise PartitionError("no partition table: it is blank")
    return tuple(found)
