"""An official MicroPython for the ESP32 family, taken apart: bootloader and app, each checked by esptool.

Such a .bin is what belongs at the chip's bootloader offset: the bootloader, at 0x8000 a partition table, at 0x10000 the
app. The table is MicroPython's own and is left behind: the flash gets ours.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from backend.errors import ThermographError

from .partitions import APP_PARTITION, TABLE_OFFSET

# The firmware's .mpy files and its TLS need this one at least.
OLDEST = (1, 25)
_IMAGE_MAGIC = 0xE9
_CHIP_ID = slice(12, 14)  # of an image's header
_BANNER = re.compile(rb"MicroPython v(\d+)\.(\d+)[0-9a-z.-]*")


class MicroPythonError(ThermographError):
    """A file that is no MicroPython for a chip that we know, or a damaged one."""

    exit_code = 65


@dataclass(frozen=True)
class Chip:
    """name: as esptool says it; id: in an image's header; bootloader: where its ROM looks for one."""

    name: str
    id: int
    bootloader: int


CHIPS = (Chip("esp32", 0, 0x1000), Chip("esp32c3", 5, 0), Chip("esp32s3", 9, 0))


@dataclass(frozen=True)
class MicroPython:
    """bootloader: goes to chip.bootloader; app: to APP_PARTITION; version: "1.27.0", or "" where the app tells none."""

    chip: Chip
    bootloader: bytes
    app: bytes
    version: str


def read(path: Path) -> MicroPython:
    """Take a .bin apart. MicroPythonError says what is wrong with it; OSError if it cannot be read."""
    data = path.read_bytes()
    chip = _chip(data, path)
    bootloader, app = data[: TABLE_OFFSET - chip.bootloader], data[APP_PARTITION.offset - chip.bootloader :]
    if len(app) > APP_PARTITION.size:
        raise MicroPythonError(f"{path}: the app has {len(app):,} bytes, its partition {APP_PARTITION.size:,}.")
    _verify(chip, bootloader, f"{path}: the bootloader")
    _verify(chip, app, f"{path}: the app at {APP_PARTITION.offset:#x}")
    return MicroPython(chip, bootloader, app, _version(app, path))


def _chip(data: bytes, path: Path) -> Chip:
    if len(data) < _CHIP_ID.stop or data[0] != _IMAGE_MAGIC:
        raise MicroPythonError(
            f"{path} is no firmware of an ESP32: it does not begin with a bootloader.",
            "Take the .bin of a release from https://micropython.org/download/ESP32_GENERIC/ (not .app-bin or .uf2).",
        )
    number = int.from_bytes(data[_CHIP_ID], "little")
    for chip in CHIPS:
        if chip.id == number:
            return chip
    known = ", ".join(chip.name for chip in CHIPS)
    raise MicroPythonError(f"{path} is for a chip with the id {number}; known are {known}.")


def _verify(chip: Chip, image: bytes, what: str) -> None:
    """Segments, checksum and SHA-256 of an image: what the ROM and the bootloader look at before they start it."""
    from esptool.bin_image import LoadFirmwareImage
    from esptool.util import FatalError

    try:
        found = LoadFirmwareImage(chip.name, image)
    except (FatalError, IndexError, ValueError, OverflowError) as error:
        raise MicroPythonError(f"{what} is damaged or cut off: {error}", "Download it again.") from None
    except Exception as error:  # struct.error and others of what esptool's parser is made of: the file's bytes decide
        raise MicroPythonError(
            f"{what} is damaged or cut off ({type(error).__name__}).", "Download it again."
        ) from None
    if found.checksum != found.calculate_checksum():
        raise MicroPythonError(f"{what} is damaged: its checksum is wrong.", "Download it again.")
    if found.append_digest and found.stored_digest != found.calc_digest:
        raise MicroPythonError(f"{what} is damaged: its SHA-256 is wrong.", "Download it again.")


def _version(app: bytes, path: Path) -> str:
    found = _BANNER.search(app)
    if found is None:
        return ""
    version = found[0].decode("ascii").removeprefix("MicroPython v")
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise MicroPythonError(f"{path} is MicroPython {version}; the firmware needs {oldest} or newer.")
    return version
