"""The firmware and its test parts, which stand outside of any package because they run on MicroPython too."""

import importlib
import os
import sys
from types import ModuleType


def load(name: str) -> ModuleType:
    """A module of tests/firmware/. THERMOGRAPH_FIRMWARE names another firmware folder than this checkout's."""
    from backend.run.layout import ROOT

    firmware = os.environ.get("THERMOGRAPH_FIRMWARE") or str(ROOT / "firmware")
    for path in (firmware, str(ROOT / "tests" / "firmware")):
        if path not in sys.path:
            sys.path.insert(0, path)
    return importlib.import_module(name)
