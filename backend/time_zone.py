"""Time zones by the names that people give."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from .errors import InputRefused


def time_zone(name: str) -> tzinfo:
    """name: of the IANA database. Raises InputRefused."""
    if name == "UTC":
        return UTC  # on Windows there may be no database
    try:
        return ZoneInfo(name)
    # A name may be a folder of the zones, or lead out of them.
    except (KeyError, ValueError, OSError):
        raise InputRefused(f"There is no time zone {name[:64]!r}.", "Name one like Europe/Berlin.") from None
