"""What is told, the same for every way. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

Phase = Literal["raised", "ended"]


@dataclass(frozen=True)
class Notice:
    """id: unique and unchanged over repeats, so that a receiver can tell them. at, start: ISO 8601 UTC."""

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

    def json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=True, sort_keys=True).encode()
