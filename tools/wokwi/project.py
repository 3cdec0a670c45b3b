"""The firmware as files to be uploaded to wokwi.com: all in one folder, for a project there has no other."""

import json
from pathlib import Path, PurePosixPath

from .check import BOARD

# Wokwi's newest MicroPython for the ESP32 when this was written; the project's own page lists others.
MICROPYTHON = "micropython-20260406-v1.28.0"
START = "start.py"


def build(firmware: Path, umqtt: Path, diagram: str, settings: bytes) -> dict[str, bytes]:
    """{name: bytes}. firmware/wokwi/main.py puts them into folders on the board."""
    package = json.loads((firmware / "package.json").read_text(encoding="utf-8"))
    made = {flat(name): (firmware / source).read_bytes() for name, source in package["urls"] if name != "main.py"}
    made["umqtt.simple.py"] = (umqtt / "umqtt" / "simple.py").read_bytes()
    made[START] = (firmware / "main.py").read_bytes()
    made["main.py"] = (firmware / "wokwi" / "main.py").read_bytes()
    made["settings.json"] = settings
    made["diagram.json"] = _with_micropython(diagram).encode("utf-8")
    return made


def flat(name: str) -> str:
    """thermograph/boards/esp32.py -> thermograph.boards.esp32.py"""
    return ".".join(PurePosixPath(name).parts)


def _with_micropython(diagram: str) -> str:
    """On wokwi.com the board's attribute `env` chooses MicroPython; elsewhere wokwi.toml does, and env has no place."""
    fields = json.loads(diagram)
    for part in fields["parts"]:
        if part["type"] == BOARD:
            part["attrs"]["env"] = MICROPYTHON
    return json.dumps(fields, indent=2) + "\n"
