"""The simulated device: the firmware as it is, on MicroPython where it is installed, else on CPython."""

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from .. import private
from ..settings import Secret
from . import micropython
from .child import Service
from .console import Console
from .layout import FIRMWARE, Layout
from .ports import HOST

# About what an ESP32 leaves for the firmware, times four: the unix port's objects are twice as wide.
HEAP = "1M"
SENSOR = "fridge"
SAMPLE = re.compile(r"(?P<time>.+) sample (?P<channel>\S+) (?P<value>\S+) (?P<unit>\S+) seq (?P<seq>\d+)")
# After every ack; only one that leaves readings on the device is worth a line.
ALL_STORED = re.compile(r"\S+ freed to \d+, kept 0")


@dataclasses.dataclass(frozen=True)
class Device:
    name: str
    folder: Path
    broker_port: int
    password: Secret
    interval: float


@dataclasses.dataclass(frozen=True)
class Program:
    """How to start the firmware in a device's folder. environment: added to the caller's. on: the interpreter."""

    command: list[str]
    environment: dict[str, str]
    on: str


def program(folder: Path, library: Path) -> Program:
    """library: the folder that holds umqtt."""
    script = [str(FIRMWARE / "main.py"), str(folder)]
    interpreter = micropython.find(os.environ)
    path = [str(FIRMWARE), str(library)]
    if interpreter:
        command = [*interpreter, "-X", f"heapsize={HEAP}", *script]
        # Setting the variable replaces MicroPython's own path, which holds its frozen modules.
        return Program(command, {"MICROPYPATH": os.pathsep.join([*path, ".frozen"])}, "MicroPython")
    environment = {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return Program([sys.executable, *script], environment, "CPython (no MicroPython 1.24 or newer found)")


def service(
    device: Device, layout: Layout, library: Path, console: Console, post: Callable[[Callable[[], None]], None]
) -> Service:
    """library: the folder that holds umqtt. post: has the main thread call what it is given."""
    private.make_folder(device.folder)
    private.write(device.folder / "settings.json", settings(device))
    firmware = program(device.folder, library)

    def show(line: str) -> None:
        sample = SAMPLE.fullmatch(line)
        if sample:
            post(lambda: console.reading(device.name, **sample.groupdict()))
        elif not ALL_STORED.fullmatch(line):
            time, _, text = line.partition(" ")
            post(lambda: console.device(device.name, time, text))

    return Service(
        name="device",
        about=f"simulated, on {firmware.on}",
        command=firmware.command,
        environment=firmware.environment,
        folder=device.folder,
        log=layout.log("device"),
        ready=lambda child: bool(child.said) or child.age > 1.0,
        stop_within=5,
        on_line=show,
    )


def settings(device: Device) -> str:
    """settings.json, as firmware/README.md describes it."""
    return (
        json.dumps(
            {
                "device": device.name,
                "broker": {
                    "host": HOST,
                    "port": device.broker_port,
                    "user": device.name,
                    "password": str(device.password),
                },
                "interval": device.interval,
                "sensors": [{"kind": "simulated", "id": SENSOR}],
            },
            indent=1,
        )
        + "\n"
    )
