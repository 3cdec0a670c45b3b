"""Thirty made-up days of twelve devices: what screenshots show, and what tests of the pages look at.

A pharmacy with a fridge that stood open once and was without power once, and a freezer that is too warm right now; a
greenhouse, a server room, a loading dock; one device that fell silent, one whose sensor broke, one nobody confirmed.

python -m tests.demonstration sqlite:///var/demo.db
"""

import json
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from backend.alerts import rules
from backend.alerts.engine import Engine
from backend.alerts.rule import Rule
from backend.database import Database
from tests.rows import Rows, now

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
STEP = 5 * MINUTE
SPIKE = 11.375


@dataclass(frozen=True)
class Series:
    """One channel. shape: (ms before now, noise) → value or a fault's name; None: nothing was sampled."""

    sensor: str
    unit: str
    shape: Callable[[int, random.Random], float | str | None]


@dataclass(frozen=True)
class Board:
    name: str
    label: str
    place: str
    series: tuple[Series, ...]
    rules: tuple[tuple[str, Rule], ...] = ()
    gaps: tuple[tuple[int, str], ...] = ()
    status: str = "online"
    enrolled: bool = True
    rssi: int = -58


def daily(base: float, swing: float, noise: float, cycle: int = DAY) -> Callable[[int, random.Random], float]:
    return lambda ago, chance: base - swing * math.cos(2 * math.pi * (ago % cycle) / cycle) + chance.gauss(0, noise)


def fridge(ago: int, chance: random.Random) -> float | str | None:
    """Open for 50 minutes nine days ago, one warm reading six days ago, without power for 6 hours three days ago."""
    if 3 * DAY < ago < 3 * DAY + 6 * HOUR:
        return None
    value = daily(4.6, 0.7, 0.12, 2 * HOUR)(ago, chance)
    since_opened = 9 * DAY - ago
    if 0 < since_opened < 3 * HOUR:
        value += 6.5 * min(1, since_opened / (50 * MINUTE)) * (1 if since_opened < 50 * MINUTE else 0.4)
    if 6 * DAY <= ago < 6 * DAY + STEP:
        return SPIKE
    return value


def warm_freezer(ago: int, chance: random.Random) -> float:
    risen = max(0.0, (40 * MINUTE - ago) / MINUTE) * 0.12
    return daily(-19.4, 0.5, 0.1, 3 * HOUR)(ago, chance) + risen


def silent_since(moment: int, shape: Callable) -> Callable:
    return lambda ago, chance: shape(ago, chance) if ago > moment else None


def broken_since(moment: int, shape: Callable) -> Callable:
    return lambda ago, chance: shape(ago, chance) if ago > moment else "absent"


def between(low: float, high: float) -> tuple[tuple[str, Rule], ...]:
    return (
        ("Too warm", Rule("high", high, clear=0.2, duration=10 * MINUTE, severity="critical")),
        ("Too cold", Rule("low", low, clear=0.2, duration=10 * MINUTE)),
    )


BOARDS = (
    Board("fridge-1", "Vaccine fridge", "Pharmacy", (Series("28ff641e8216c3a1", "Cel", fridge),),
          between(2, 8), ((3 * DAY, "flash-full"),)),
    Board("freezer-2", "Freezer 2", "Pharmacy", (Series("28ff9a3b62170441", "Cel", warm_freezer),), between(-25, -18)),
    Board("freezer-1", "Freezer 1", "Pharmacy", (Series("28ff1c0e83150322", "Cel", daily(-21, 0.6, 0.1, 3 * HOUR)),),
          between(-25, -18)),
    Board("fridge-2", "Lab fridge", "Pharmacy", (Series("28ffb20a71150377", "Cel", daily(5.1, 0.5, 0.1, 2 * HOUR)),),
          between(2, 8)),
    Board("greenhouse-north", "North house", "Greenhouse",
          (Series("dht22", "Cel", daily(18, 7, 0.2)), Series("dht22", "%RH", daily(68, -14, 0.9)))),
    Board("greenhouse-south", "South house", "Greenhouse",
          (Series("dht22", "Cel", daily(20, 8, 0.2)), Series("dht22", "%RH", daily(63, -15, 0.9)))),
    Board("seedlings", "Seedling bench", "Greenhouse", (Series("28ff33aa62170999", "Cel", daily(22, 1.5, 0.1)),),
          between(15, 30), rssi=-79),
    Board("rack-1", "Rack 1", "Server room",
          (Series("bme280", "Cel", daily(24, 1.2, 0.1)), Series("bme280", "%RH", daily(38, 3, 0.4)),
           Series("bme280", "Pa", daily(101_300, 420, 12, 5 * DAY))), between(10, 32)),
    Board("rack-2", "Rack 2", "Server room", (Series("bme280", "Cel", daily(25.5, 1.0, 0.1)),), between(10, 32)),
    Board("dock", "Loading dock", "Warehouse", (Series("28ff77aa01150777", "Cel", daily(9, 4, 0.3)),)),
    Board("cellar", "Cellar", "Warehouse",
          (Series("28ff5500aa150111", "Cel", silent_since(5 * HOUR, daily(12, 0.4, 0.05))),), status="offline"),
    Board("boiler", "", "", (Series("28ff000000000b01", "Cel", broken_since(40 * MINUTE, daily(55, 4, 0.4, HOUR))),),
          enrolled=False),
)  # fmt: skip


def demonstrate(database: Database, days: int = 30) -> None:
    """Fill an empty, migrated database up to this moment; its alerts are those that the engine makes of it."""
    rows, end = Rows(database), now()
    for number, board in enumerate(BOARDS):
        _board(rows, board, number, end, days)
    Engine(database).round(end)


def _board(rows: Rows, board: Board, number: int, end: int, days: int) -> None:
    chance = random.Random(board.name)
    health = {
        "firmware": "0.1.0", "reset": "power-on", "uptime": 86_400 * (3 + number), "free": 81_232, "block": 65_536,
        "rssi": board.rssi, "settings": 3,
        "outbox": {"depth": 2 if board.status == "online" else 60, "capacity": 65_024},
    }  # fmt: skip
    rows.device(board.name, board.enrolled, f"{0x9F3A1C02 + number:08x}", board.status, json.dumps(health))
    rows.set_device(board.name, label=board.label or None, place=board.place or None)
    for series in board.series:
        channel = rows.channel(board.name, series.sensor, series.unit)
        found = _found(series, chance, end, days)
        for ago, cause in board.gaps:
            before = [(t, value) for t, value in found if t < end - ago]
            if before:
                rows.readings(channel, before)
                rows.gap(channel, 6 * HOUR // STEP, cause)
                found = found[len(before) :]
        rows.readings(channel, found)
        if series.unit == "Cel":
            with rows.database.write() as connection:
                for name, rule in board.rules:
                    rules.add_rule(connection, f"{board.label}: {name.lower()}", channel, rule, ())


def _found(series: Series, chance: random.Random, end: int, days: int) -> list[tuple[int, float | str]]:
    found = []
    for ago in range(days * DAY, 0, -STEP):
        value = series.shape(ago, chance)
        if value is not None:
            # As a DS18B20 counts: in sixteenths.
            found.append((end - ago + 290_000, value if isinstance(value, str) else round(value * 16) / 16))
    return found


if __name__ == "__main__":
    made = Database(sys.argv[1])
    made.migrate()
    demonstrate(made)
    made.close()
