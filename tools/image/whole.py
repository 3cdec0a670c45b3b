"""The whole flash of a board as one file: bootloader, table, MicroPython, file system, and an Outbox that is blank.

Blank (0xFF), not formatted, because a formatted Outbox has the random id of its stream: every board that got this image
would have the same one, and the backend would take the readings of the second for those of the first. The firmware
formats a blank Outbox at its first start. nvs and phy_init are blank for the same reason, and ESP-IDF fills them.
"""

import json
from collections.abc import Mapping

from . import filesystem, partitions
from .micropython import MicroPython

_BLANK = b"\xff"


def pieces(micropython: MicroPython) -> dict[int, bytes]:
    """{offset: bytes} of what makes a blank flash a MicroPython with our partitions."""
    return {
        micropython.chip.bootloader: micropython.bootloader,
        partitions.TABLE_OFFSET: partitions.build(),
        partitions.APP_PARTITION.offset: micropython.app,
    }


def build(micropython: MicroPython, files: Mapping[str, bytes]) -> bytes:
    """FLASH_SIZE bytes, from address 0 on. FilesystemFull if the files do not fit."""
    made = bytearray(_BLANK * partitions.FLASH_SIZE)
    parts = pieces(micropython)
    parts[partitions.VFS_PARTITION.offset] = filesystem.build(files)
    for offset, data in parts.items():
        made[offset : offset + len(data)] = data
    return bytes(made)


def flasher_args(image: str, micropython: MicroPython) -> str:
    """flasher_args.json, as ESP-IDF writes it and Wokwi reads it, for the file `image` beside it.

    One piece from 0 on: Wokwi fills what lies between pieces with zeros, which flash that was erased never reads as.
    """
    fields = {
        "write_flash_args": ["--flash_mode", "keep", "--flash_size", "keep", "--flash_freq", "keep"],
        "flash_settings": {"flash_mode": "keep", "flash_size": "keep", "flash_freq": "keep"},
        "flash_files": {"0x0": image},
        "extra_esptool_args": {"after": "hard_reset", "before": "default_reset", "chip": micropython.chip.name},
    }
    return json.dumps(fields, indent=2) + "\n"
