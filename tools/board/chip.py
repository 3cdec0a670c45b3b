"""The chip's ROM loader, by esptool's API: which chip it is, and writing MicroPython with our partition table.

Kept thin: it cannot be tried without a chip. What is written comes from tools/image, which is tested on real files.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import BoardError, ChipFailed, FlashFailed

CHIPS = ("ESP32", "ESP32-S3", "ESP32-C3")
SMALLEST = 4 * 1024 * 1024
BAUD = 460_800
# The app's partition in MicroPython's own tables (ports/esp32/partitions-*.csv); ESP-IDF's own have 1 MiB.
STOCK_APPS = ("factory", "ota_0")
STOCK_APP = 0x180000
BY_HAND = "Hold BOOT, press and release EN (reset), release BOOT, and try again."

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Chip:
    """name: "ESP32", "ESP32-S3", "ESP32-C3"; mac: 12 hex digits; flash: bytes; ours: its file system and its Outbox lie
    where our partition table has them; stock: its table is one of MicroPython's own."""

    name: str
    mac: str
    flash: int
    ours: bool
    stock: bool = False


def identify(address: str) -> Chip:
    """Ask the ROM loader, then start the board again. Raises ChipFailed."""
    with _loader(address, ChipFailed, None) as esp:
        from esptool.cmds import detect_flash_size, read_flash
        from esptool.util import flash_size_bytes

        from ..image import partitions

        if esp.CHIP_NAME not in CHIPS:
            raise ChipFailed(f"The firmware does not know the {esp.CHIP_NAME}.", f"It runs on {', '.join(CHIPS)}.")
        size = flash_size_bytes(detect_flash_size(esp) or "0MB") or 0
        if size < SMALLEST:
            raise ChipFailed(
                "The flash has less than 4 MiB, or does not answer.", "Use another board.", f"{size} bytes"
            )
        table = read_flash(esp, partitions.TABLE_OFFSET, partitions.TABLE_SIZE, None) or b""
        mac = bytes(esp.read_mac()).hex()
        return Chip(esp.CHIP_NAME, mac, size, *what_has(table))


def what_has(table: bytes) -> tuple[bool, bool]:
    """(ours, stock), as Chip has them, of a partition table's bytes."""
    from ..image import partitions

    try:
        found = partitions.parse(table)
    except partitions.PartitionError:
        return False, False  # blank, or damaged
    ours = {partitions.VFS_PARTITION, partitions.OUTBOX_PARTITION} <= set(found)
    apps = [partition for partition in found if partition.kind == partitions.APP]
    return ours, not ours and any(app.name in STOCK_APPS and app.size >= STOCK_APP for app in apps)


def parts(micropython: Path, chip: str) -> list[tuple[int, bytes]]:
    """What is to be written where: bootloader, our table, app. Raises FlashFailed for a file that does not fit."""
    from ..image import micropython as official
    from ..image import partitions

    try:
        found = official.read(micropython)
    except (official.MicroPythonError, OSError) as error:
        advice = getattr(error, "advice", "") or "Take the .bin for your chip from micropython.org/download."
        raise FlashFailed(
            f"{micropython.name} cannot be written.", advice, getattr(error, "message", str(error))
        ) from None
    if found.chip.name != chip.lower().replace("-", ""):
        raise FlashFailed(
            f"{micropython.name} is for another chip.", "Take the one for your board.", f"{found.chip.name}, not {chip}"
        )
    return [
        (found.chip.bootloader, found.bootloader),
        (partitions.TABLE_OFFSET, partitions.build()),
        (partitions.APP_PARTITION.offset, found.app),
    ]


def write(address: str, chip: Chip, micropython: Path, progress: Progress, erase: bool) -> None:
    """Write MicroPython with our partitions, then start the board again. Raises FlashFailed.

    A board that is `ours` keeps its files and its Outbox unless erase is asked for. Any other has to be erased: what
    lies where our partitions begin would be taken for a damaged file system, at which MicroPython stops.
    """
    todo = parts(micropython, chip.name)
    with _loader(address, FlashFailed, progress) as esp:
        from esptool.cmds import write_flash

        write_flash(esp, todo, erase_all=erase, compress=True)


@contextlib.contextmanager
def _loader(address: str, failure: type[BoardError], progress: Progress | None) -> Iterator[Any]:
    """A connection to the stub loader, with a hard reset at its end."""
    import serial
    from esptool.cmds import attach_flash, detect_chip, reset_chip, run_stub
    from esptool.logger import log
    from esptool.util import FatalError

    esp = None
    log.set_logger(_quiet(progress))
    try:
        esp = run_stub(detect_chip(address))
        esp.change_baud(BAUD)
        attach_flash(esp)
        yield esp
        reset_chip(esp, "hard-reset")
    except (FatalError, serial.SerialException, OSError) as error:
        text = " ".join(str(error).split())
        raise failure("The chip's ROM loader does not do what it should.", BY_HAND, text) from None
    finally:
        if esp is not None:
            esp._port.close()


def _quiet(progress: Progress | None) -> Any:
    """esptool's words go nowhere: what matters of them is in its exceptions. Its progress is ours."""
    from esptool.logger import TemplateLogger

    class Quiet(TemplateLogger):  # type: ignore[misc]
        def print(self, *args: Any, **kwargs: Any) -> None: ...
        def note(self, message: str) -> None: ...
        def warning(self, message: str) -> None: ...
        def error(self, message: str) -> None: ...
        def stage(self, finish: bool = False) -> None: ...
        def set_verbosity(self, verbosity: str) -> None: ...

        def progress_bar(
            self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
        ) -> None:
            if progress is not None:
                progress(cur_iter, total_iters)

    return Quiet()
