"""The simulated board: its pins as the firmware has them, and its settings with a password for `make run`'s broker."""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend import private
from backend.devices import Registry, mac_address

from .check import BOARD
from .diagram import Diagram, DiagramError


def pins(firmware: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    """{use: GPIO}: PINS of boards/esp32_start.py, which no PC can import, and over them `pins` of the settings."""
    source = firmware / "thermograph" / "boards" / "esp32_start.py"
    for line in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id == "PINS":
            return {**ast.literal_eval(line.value), **settings.get("pins", {})}
    raise LookupError(f"{source} has no PINS")


def register(wanted: dict[str, Any], diagram: Diagram, state_dir: Path, broker_port: int) -> dict[str, Any]:
    """The settings with this board's user and password at the broker of `make run`, which admits it from now on.

    It is one device however often it is built: its name and its MAC are the diagram's. AlreadyThere where another
    board has that name.
    """
    mac = str(diagram.of_type(BOARD)[0].attrs["macAddress"])
    known = Registry(state_dir).register(wanted["device"], mac_address(mac))
    broker = {**wanted.get("broker", {}), "port": broker_port, "user": known.name, "password": str(known.password)}
    return {**wanted, "broker": broker}


def save(wanted: dict[str, Any], path: Path) -> Path:
    private.write(path, json.dumps(wanted, indent=1) + "\n")
    return path


def read_diagram(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DiagramError(f"{path} cannot be read: {error}") from None
