"""The firmware's own pure modules, in this process: cheap devices write the wire with the code that boards run."""

import importlib
import sys
from typing import Any

from backend.run.layout import FIRMWARE


def module(name: str) -> Any:
    """`thermograph.NAME`, imported from this checkout's firmware folder."""
    if str(FIRMWARE) not in sys.path:
        sys.path.insert(0, str(FIRMWARE))
    return importlib.import_module(f"thermograph.{name}")
