"""What is wrong with a diagram: against Wokwi's parts, against electricity, and against the firmware's settings. Pure.

`parts.json` has the pins and attributes of each part and says where they come from.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .diagram import MONITOR, Diagram, Nets, Part

BOARD = "board-esp32-devkit-c-v4"
DS18B20, DHT22 = "wokwi-ds18b20", "wokwi-dht22"
LED, RESISTOR, BUTTONS = "wokwi-led", "wokwi-resistor", ("wokwi-pushbutton", "wokwi-pushbutton-6mm")
# Every Wokwi board has this one unless told otherwise: two of them would be one device.
DEFAULT_MAC = "24:0a:c4:00:01:10"
# Ohm. DS18B20 datasheet, figure 10: about 5 kOhm; firmware/README.md: 4.7. An LED at 3.3 V: 4 to 15 mA.
PULL_UP = (1000, 10000)
LED_RESISTOR = (100, 1000)

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_DEVICE_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Mistake:
    """rule: its name, for tests and scripts; text: where it is, and what should be there."""

    rule: str
    text: str


def known_parts() -> dict[str, dict[str, list[str]]]:
    """{type: {"pins": [...], "attrs": [...]}}."""
    parts: dict[str, dict[str, list[str]]] = json.loads(
        Path(__file__).with_name("parts.json").read_text(encoding="utf-8")
    )["parts"]
    return parts


def check(diagram: Diagram, settings: Mapping[str, Any], pins: Mapping[str, int]) -> list[Mistake]:
    """All that is wrong. settings: the board's settings.json. pins: {use: GPIO}, those of the firmware."""
    found = list(_parts(diagram)) + list(_wires(diagram))
    boards = diagram.of_type(BOARD)
    if len(boards) != 1:
        found.append(Mistake("board", f"there must be one {BOARD}, not {len(boards)}"))
        return found
    circuit = _Circuit(diagram, boards[0], pins)
    return [*found, *circuit.mistakes(), *_sensors(diagram, settings)]


# -- against Wokwi's parts


def _parts(diagram: Diagram) -> Iterator[Mistake]:
    known, seen = known_parts(), set()
    for part in diagram.parts:
        if part.id in seen:
            yield Mistake("duplicate-id", f"two parts are called {part.id}")
        seen.add(part.id)
        if part.type not in known:
            yield Mistake("unknown-part", f"{part.id}: Wokwi has no part {part.type}")
            continue
        for name, value in part.attrs.items():
            if name not in known[part.type]["attrs"]:
                yield Mistake("unknown-attribute", f"{part.id}: a {part.type} has no attribute {name}")
            elif not isinstance(value, str):
                yield Mistake("attribute-value", f"{part.id}: {name} must be a text, as all attributes")


def _wires(diagram: Diagram) -> Iterator[Mistake]:
    known, types = known_parts(), {part.id: part.type for part in diagram.parts}
    for ends in diagram.wires:
        for end in ends:
            name, _, pin = end.partition(":")
            if name == MONITOR:
                if pin not in ("RX", "TX"):
                    yield Mistake("unknown-pin", f"{end}: the serial monitor has RX and TX")
            elif name not in types:
                yield Mistake("loose-wire", f"{' - '.join(ends)}: there is no part {name}")
            elif types[name] in known and pin not in known[types[name]]["pins"]:
                pins = ", ".join(known[types[name]]["pins"])
                yield Mistake("unknown-pin", f"{end}: a {types[name]} has the pins {pins}")


# -- against electricity, and the firmware's pins


class _Circuit:
    def __init__(self, diagram: Diagram, board: Part, pins: Mapping[str, int]) -> None:
        self._diagram = diagram
        self._board = board
        self._pins = pins
        self._nets = Nets(diagram, board.id)
        self._ground = f"{board.id}:GND.1"
        self._supply = f"{board.id}:3V3"

    def mistakes(self) -> Iterator[Mistake]:
        yield from self._the_board()
        yield from self._shorts()
        for part in self._diagram.parts:
            if part.type == DS18B20:
                yield from self._sensor(part, "DQ", "onewire")
                yield from self._pulled_up(f"{part.id}:DQ")
            elif part.type == DHT22:
                yield from self._sensor(part, "SDA", "dht")
            elif part.type == LED:
                yield from self._led(part)
            elif part.type in BUTTONS:
                yield from self._button(part)

    def _gpio(self, use: str) -> str:
        return f"{self._board.id}:{self._pins[use]}"

    def _the_board(self) -> Iterator[Mistake]:
        mac = self._board.attrs.get("macAddress")
        if not isinstance(mac, str) or not _MAC.fullmatch(mac.lower()):
            yield Mistake("mac", f"{self._board.id}: macAddress must be one, such as 24:0a:c4:74:68:01, not {mac}")
        elif mac.lower() == DEFAULT_MAC or int(mac[:2], 16) & 1:
            yield Mistake(
                "mac", f"{self._board.id}: macAddress {mac} is not this board's own: it is that of all, or of many"
            )
        if self._board.attrs.get("flashSize", "4") != "4":
            yield Mistake("flash-size", f"{self._board.id}: flashSize must be 4: the image has 4 MiB")
        for ours, theirs in (("TX", "RX"), ("RX", "TX")):
            pin, monitor = f"{self._board.id}:{ours}", f"{MONITOR}:{theirs}"
            if not self._nets.joined(pin, monitor):
                yield Mistake("serial", f"{pin} must go to {monitor}: without it there is no console")

    def _shorts(self) -> Iterator[Mistake]:
        rails = (self._supply, self._ground, f"{self._board.id}:5V")
        for at, one in enumerate(rails):
            for other in rails[at + 1 :]:
                if self._nets.joined(one, other):
                    yield Mistake("short", f"{one} and {other} are joined")
        numbers = [pin for pin in known_parts()[BOARD]["pins"] if pin.isdigit()]
        for at, number in enumerate(numbers):
            pin = f"{self._board.id}:{number}"
            for other in [f"{self._board.id}:{second}" for second in numbers[at + 1 :]] + list(rails):
                if self._nets.joined(pin, other):
                    yield Mistake("short", f"{pin} and {other} are joined")

    def _sensor(self, part: Part, data: str, use: str) -> Iterator[Mistake]:
        if not self._nets.joined(f"{part.id}:VCC", self._supply):
            yield Mistake("power", f"{part.id}:VCC must go to {self._supply}")
        if not self._nets.joined(f"{part.id}:GND", self._ground):
            yield Mistake("power", f"{part.id}:GND must go to {self._ground}, .2 or .3")
        if not self._nets.joined(f"{part.id}:{data}", self._gpio(use)):
            yield Mistake("sensor-pin", f"{part.id}:{data} must go to {self._gpio(use)}, pins.{use} of the settings")

    def _pulled_up(self, line: str) -> Iterator[Mistake]:
        ohms = self._resistors(line, self._supply)
        if not any(PULL_UP[0] <= value <= PULL_UP[1] for value in ohms):
            yield Mistake("pull-up", f"{line} needs a resistor of {PULL_UP[0]} to {PULL_UP[1]} Ohm to {self._supply}")

    def _led(self, part: Part) -> Iterator[Mistake]:
        anode, cathode, pin = f"{part.id}:A", f"{part.id}:C", self._gpio("led")
        ohms: list[float] = []
        if self._nets.joined(cathode, self._ground):
            ohms = self._resistors(anode, pin)
        elif self._nets.joined(anode, pin):
            ohms = self._resistors(cathode, self._ground)
        if not any(LED_RESISTOR[0] <= value <= LED_RESISTOR[1] for value in ohms):
            limits = f"{LED_RESISTOR[0]} to {LED_RESISTOR[1]} Ohm"
            yield Mistake("led", f"{part.id}: A by a resistor of {limits} to {pin}, pins.led; C to {self._ground}")

    def _button(self, part: Part) -> Iterator[Mistake]:
        pin = self._gpio("button")
        ends = (f"{part.id}:1.l", f"{part.id}:2.l")
        straight = self._nets.joined(ends[0], pin) and self._nets.joined(ends[1], self._ground)
        turned = self._nets.joined(ends[1], pin) and self._nets.joined(ends[0], self._ground)
        if not straight and not turned:
            yield Mistake("button", f"{part.id}: one contact to {pin}, pins.button, the other to {self._ground}")

    def _resistors(self, one: str, other: str) -> list[float]:
        """Ohm of each that lies between two pins."""
        found = []
        for part in self._diagram.of_type(RESISTOR):
            ends = (f"{part.id}:1", f"{part.id}:2")
            if any(self._nets.joined(ends[at], one) and self._nets.joined(ends[1 - at], other) for at in (0, 1)):
                found.append(_number(part.attrs.get("value", "220")))
        return found


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


# -- against the settings


def _sensors(diagram: Diagram, settings: Mapping[str, Any]) -> Iterator[Mistake]:
    """The sensors that the settings name are those of the diagram. None named: the firmware looks for them itself."""
    entries = settings.get("sensors") or []
    if not entries:
        if diagram.of_type(DHT22):
            yield Mistake("settings", "a DHT22 cannot be searched for: name it in sensors of the settings")
        return
    wanted = {entry["id"] for entry in entries if entry.get("kind") == "ds18b20"}
    there = {name for part in diagram.of_type(DS18B20) for name in [_rom(part)] if name}
    for part in diagram.of_type(DS18B20):
        if _rom(part) is None:
            yield Mistake("device-id", f"{part.id}: deviceID must have 12 hex digits")
    for name in sorted(wanted - there):
        yield Mistake("settings", f"the settings name the DS18B20 {name}, which the diagram has not")
    for name in sorted(there - wanted):
        yield Mistake("settings", f"the settings do not name the diagram's DS18B20 {name}")
    counts = sum(entry.get("kind") == "dht22" for entry in entries), len(diagram.of_type(DHT22))
    if counts[0] != counts[1]:
        yield Mistake("settings", f"the settings name {counts[0]} DHT22, the diagram has {counts[1]}")


def _rom(part: Part) -> str | None:
    """A DS18B20's id as the firmware writes it: family, serial number, CRC (Maxim application note 27)."""
    number = str(part.attrs.get("deviceID", "010203040506")).lower()
    family = str(part.attrs.get("familyCode", "28"))
    if not _DEVICE_ID.fullmatch(number) or not re.fullmatch("[0-9a-f]{2}", family):
        return None
    body = bytes.fromhex(family + number)
    crc = 0
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return f"{body.hex()}{crc:02x}"
