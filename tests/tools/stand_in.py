"""A .bin of the structure of an official MicroPython, made by esptool: bootloader, MicroPython's own table, app."""

import hashlib
import struct
from pathlib import Path

from esptool.bin_image import ELFSection, ESP32FirmwareImage, ESP32S3FirmwareImage

# Where a chip's constants, variables and code lie, and those of its bootloader.
CHIPS = {
    "esp32": (ESP32FirmwareImage, (0x3F400020, 0x3FFB0000, 0x400D0020), (0x3FFF0030, 0x40078000)),
    "esp32s3": (ESP32S3FirmwareImage, (0x3C000020, 0x3FC98000, 0x42000020), (0x3FCD0000, 0x403B0000)),
}
BANNER = "3.4.0; MicroPython v%s on 2025-12-09"


def micropython(version: str = "1.27.0", chip: str = "esp32", app_size: int = 300_000) -> bytes:
    """What lies in the flash from where the chip's ROM looks for a bootloader."""
    made, (constants, variables, code), loader = CHIPS[chip]
    start = made.ROM_LOADER.BOOTLOADER_FLASH_OFFSET
    bootloader = _image(chip, zip(loader, (b"boot" * 64, bytes(range(256)) * 60), strict=True))
    banner = (BANNER % version).encode().ljust(1064, b"\0")
    app = _image(chip, [(constants, banner), (variables, b"ram!" * 500), (code, b"code" * (app_size // 4))])
    flash = bootloader.ljust(0x8000 - start, b"\xff") + stock_table()
    return flash.ljust(0x10000 - start, b"\xff") + app


def stock_table() -> bytes:
    """That of MicroPython 1.26 and newer: it has no vfs. Written down from its sources, not by our builder."""
    entries = b""
    for name, kind, subtype, offset, size in (
        (b"nvs", 1, 2, 0x9000, 0x6000),
        (b"phy_init", 1, 1, 0xF000, 0x1000),
        (b"factory", 0, 0, 0x10000, 0x1F0000),
    ):
        entries += struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, name, 0)
    entries += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries, usedforsecurity=False).digest()
    return entries.ljust(0xC00, b"\xff")


def write(path: Path, **options) -> Path:
    path.write_bytes(micropython(**options))
    return path


def _image(chip, sections) -> bytes:
    made = CHIPS[chip][0]()
    loader = made.ROM_LOADER
    made.flash_size_freq = loader.parse_flash_size_arg("4MB") + loader.parse_flash_freq_arg("40m")
    made.flash_mode, made.entrypoint = 2, 0x40080400
    made.segments = [ELFSection(b".%d" % at, address, data, 0) for at, (address, data) in enumerate(sections)]
    return made.save(None)
