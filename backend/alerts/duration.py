"""Durations as people write them: "90 s", "10min", "1 h 30 min". Pure."""

import re

from ..errors import SettingsError

UNITS = {"s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|min|m|h|d)\s*")


def parse(text: str) -> int:
    """In ms; nothing at all is 0. Raises SettingsError."""
    rest, total = text.strip(), 0.0
    while rest:
        found = PART.match(rest)
        if found is None:
            raise SettingsError(f"{text[:40]!r} is no duration.", "Write it as 90 s, 10 min, 2 h or 1 d.")
        total += float(found[1]) * UNITS[found[2]]
        rest = rest[found.end() :]
    return round(total)
