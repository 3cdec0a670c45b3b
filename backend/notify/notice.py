"""What is told, the same for every way. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

Phase = Literal["raised", "again", "unseen", "ended", "test"]


@dataclass(frozen=True)
class Notice:
    """id: unique and unchanged over repeats, so that a receiver can tell them. at, start: ISO 8601 UTC.

    phase: it began; it lasts after a snooze; nobody has acknowledged it; it is over; or only a test. rule: its number.
    """

    id: str
    phase: Phase
    severity: str
    device: str
    sensor: str
    title: str
    text: str
    start: str
    at: str
    url: str = ""
    rule: int = 0
    name: str = ""

    def json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=True, sort_keys=True).encode()
