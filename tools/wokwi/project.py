"""The firmware as files to be uploaded to wokwi.com: all of them text, in one folder, for a project there has no other.

A board cannot compile the firmware within its heap, so it gets what every other board gets, thermograph.pack, as text.
"""

import base64
import json
from pathlib import Path

from .check import BOARD

# Wokwi's newest MicroPython for the ESP32 when this was written; the project's own page lists others.
MICROPYTHON = "micropython-20260406-v1.28.0"
TEXT, START = "thermograph.txt", "start.py"
_LINE = 768  # bytes of the pack; the board has one line in memory at a time


def build(firmware: Path, pack: bytes, diagram: str, settings: bytes) -> dict[str, bytes]:
    """{name: bytes}. pack: of the release. firmware/wokwi/main.py makes it of the text, and goes on as a board does."""
    lines = [base64.b64encode(pack[at : at + _LINE]) + b"\n" for at in range(0, len(pack), _LINE)]
    return {
        "main.py": (firmware / "wokwi" / "main.py").read_bytes(),
        START: (firmware / "main.py").read_bytes(),
        "packfs.py": (firmware / "packfs.py").read_bytes(),
        TEXT: b"".join(lines),
        "settings.json": settings,
        "diagram.json": _with_micropython(diagram).encode("utf-8"),
    }


def _with_micropython(diagram: str) -> str:
    """On wokwi.com the board's attribute `env` chooses MicroPython; elsewhere wokwi.toml does, and env has no place."""
    fields = json.loads(diagram)
    for part in fields["parts"]:
        if part["type"] == BOARD:
            part["attrs"]["env"] = MICROPYTHON
    return json.dumps(fields, indent=2) + "\n"
