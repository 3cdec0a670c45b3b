"""What a page's address says of how values are shown, as static/js/view.js reads it: `unit`, and `tz`."""

from typing import Any

from flask import request

from ..temperature import Scale

CARRIED = ("unit", "tz")


def scale() -> Scale:
    return "F" if request.args.get("unit") == "F" else "C"


def carried() -> dict[str, Any]:
    """For the address of the page that follows this one."""
    return {name: request.args[name][:64] for name in CARRIED if name in request.args}
