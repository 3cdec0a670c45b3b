"""A Wokwi diagram: parts, wires, and what the wires join. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from backend.errors import ThermographError

MONITOR = "$serialMonitor"


class DiagramError(ThermographError):
    """A diagram.json that is none."""

    exit_code = 65


@dataclass(frozen=True)
class Part:
    id: str
    type: str
    attrs: dict[str, Any]


@dataclass(frozen=True)
class Diagram:
    """wires: pairs of "part:pin"."""

    parts: tuple[Part, ...]
    wires: tuple[tuple[str, str], ...]

    def of_type(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.type == kind]


def parse(text: str) -> Diagram:
    """DiagramError names the part or the wire."""
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise DiagramError(f"diagram.json is not JSON: {error}") from None
    if not isinstance(fields, dict) or fields.get("version") != 1:
        raise DiagramError('diagram.json must be an object with "version": 1.')
    for name in ("parts", "connections"):
        if not isinstance(fields.get(name), list):
            raise DiagramError(f"diagram.json has no list {name}.")
    return Diagram(tuple(map(_part, fields["parts"])), tuple(map(_wire, fields["connections"])))


def _part(fields: Any) -> Part:
    texts = isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in ("id", "type"))
    if not texts or not isinstance(fields.get("attrs", {}), dict):
        raise DiagramError(f"diagram.json: a part has an id, a type and attrs: {json.dumps(fields)[:100]}")
    return Part(fields["id"], fields["type"], fields.get("attrs", {}))


def _wire(fields: Any) -> tuple[str, str]:
    if not isinstance(fields, list) or len(fields) < 2 or not all(isinstance(end, str) for end in fields[:2]):
        raise DiagramError(f"diagram.json: a connection has two ends: {json.dumps(fields)[:100]}")
    return fields[0], fields[1]


class Nets:
    """Which pins are one: by wires, and within a part (a button's left and right, a board's grounds)."""

    def __init__(self, diagram: Diagram, board: str) -> None:
        self._of: dict[str, set[str]] = {}
        for one, other in diagram.wires:
            self._join(one, other)
        for part in diagram.parts:
            if part.type.startswith("wokwi-pushbutton"):
                for contact in "12":
                    self._join(f"{part.id}:{contact}.l", f"{part.id}:{contact}.r")
        for number in "23":
            self._join(f"{board}:GND.1", f"{board}:GND.{number}")

    def joined(self, one: str, other: str) -> bool:
        return other in self.of(one)

    def of(self, pin: str) -> set[str]:
        """All pins that are one with this, itself included."""
        return self._of.get(pin, {pin})

    def _join(self, one: str, other: str) -> None:
        both = self.of(one) | self.of(other)
        for pin in both:
            self._of[pin] = both
