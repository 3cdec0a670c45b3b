"""From a bare Python to .venv with the right packages in it. Standard library only: it runs before there is any other.

It must at least start on an old Python, to say that it is too old: no newer syntax before `_check_version`.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "requirements.txt"
PYPROJECT = ROOT / "pyproject.toml"
OLDEST = (3, 11)
SETUP = "python3 -m tools setup --for run"


def enter(arguments):
    # type: (list[str]) -> None
    """Return if this is .venv's Python with all packages; else make it so, run `tools` with it, and exit."""
    _check_version(arguments)
    purpose = next((name for name in ("test", "device") if name in arguments), "run")
    if not _works(VENV_PYTHON):
        make_venv()
    install_packages(purpose)
    if Path(sys.prefix).resolve() != VENV.resolve():
        sys.exit(subprocess.call([str(VENV_PYTHON), "-m", "tools", *arguments], cwd=str(ROOT)))


def _check_version(arguments):
    # type: (list[str]) -> None
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            sys.exit(subprocess.call([newer, "-m", "tools", *arguments], cwd=str(ROOT)))
    sys.exit(
        f"error: this is Python {sys.version.split()[0]}; Thermograph needs 3.11 or newer.\n"
        "  Install one and name it: make run PYTHON=/path/to/python3.12"
    )


def _works(python: Path) -> bool:
    # Its Python may have been upgraded since: then the link leads nowhere, or to one that has no packages here.
    return python.exists() and subprocess.call([str(python), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0


def make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        _get_ensurepip()
    print(f"Making {VENV.name} with Python {sys.version.split()[0]} ...", flush=True)
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]) != 0:
        shutil.rmtree(str(VENV), ignore_errors=True)
        sys.exit(f"error: Python could not make a virtual environment in {VENV}.\n  Its own words stand above.")


def _get_ensurepip() -> None:
    from . import debian

    package = f"python3.{sys.version_info[1]}-venv"
    if debian.can_install():
        print(f"Installing the Debian package {package}: Python's venv is a package of its own here.", flush=True)
        if debian.install([package]):
            importlib.invalidate_caches()
            return
    sys.exit(
        "error: this Python cannot make virtual environments: it has no ensurepip.\n"
        f"  On Debian and Ubuntu: sudo apt-get install {package}. Elsewhere: install Python with pip and venv."
    )


def install_packages(purpose: str) -> None:
    """pip install, when what is wanted has changed since the last time."""
    wanted = requirements(purpose)
    stamp = VENV / f"thermograph-{purpose}.installed"
    digest = hashlib.sha256("\n".join([REQUIREMENTS.read_text("utf-8"), *wanted]).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text("utf-8") == digest:
        return
    print(f"Installing Python packages (for {purpose}) into {VENV.name} ...", flush=True)
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if subprocess.call([*pip, *wanted], cwd=str(ROOT)) == 0:
        stamp.write_text(digest, "utf-8")
        return
    # Without a network, packages that already satisfy the list are as good.
    offline = subprocess.run([*pip, "--quiet", "--no-index", *wanted], cwd=str(ROOT), capture_output=True, check=False)
    if offline.returncode == 0:
        print("pip reached no package index; the packages that are here will do.", flush=True)
        return
    sys.exit(
        "error: pip could not install the packages; its own words stand above.\n"
        "  Check the network and the index it is configured with: python3 -m pip config list"
    )


def requirements(purpose: str) -> "list[str]":
    """pip's arguments."""
    import tomllib

    wanted = ["-r", str(REQUIREMENTS)]
    if purpose != "run":
        project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
        wanted += project["optional-dependencies"][purpose]
    return wanted
