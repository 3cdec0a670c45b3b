"""Readings made by code, straight into a database's tables: what the benchmarks of archive, restore and queries read.

A device samples once a minute, a few ms late now and then; its value walks up and down in steps of 1/16 degree with
noise, as a DS18B20's does, one reading in 5,000 is a fault, and each arrives some hundred ms after it was sampled.
"""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from backend.database import Database

# 2026-01-01, 00:00 UTC.
START = 1_767_225_600_000
MINUTE = 60_000
CHUNK = 50_000
CYCLE = 1 << 16


@dataclass(frozen=True)
class Made:
    devices: int
    each: int

    @property
    def readings(self) -> int:
        return self.devices * self.each


def fill(database: "Database", made: Made, seed: int, quiet: bool) -> None:
    """Fill the empty, migrated database: readings, and a ledger, newest readings and rollups that agree with them."""
    from rich.console import Console
    from rich.progress import Progress

    from backend import derived
    from backend.bulk import Bulk

    with database.write() as connection:
        _name(connection, made)
    rows = _rows(made, random.Random(seed))  # noqa: S311 - made-up values
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("making readings", total=made.readings)
        while chunk := list(itertools.islice(rows, CHUNK)):
            with database.write() as connection:
                Bulk(connection).insert_readings(chunk)
            progress.advance(bar, len(chunk))
    with database.write() as connection:
        derived.write_newest(connection)
        derived.write_rollups(connection)
        if not database.is_sqlite:
            connection.exec_driver_sql("ANALYZE")


def _name(connection: "Connection", made: Made) -> None:
    from backend.bulk import Bulk
    from backend.models import Channel, Device, Span, Stream

    bulk, ids = Bulk(connection), range(1, made.devices + 1)
    columns = ("id", "name", "enrolled", "created", "status", "status_at", "health", "health_at")
    bulk.insert(Device, columns, [(id, f"device-{id:05}", True, START, None, None, None, None) for id in ids])
    bulk.insert(Channel, ("id", "device_id", "sensor", "unit"), [(id, id, f"28ff{id:012x}", "Cel") for id in ids])
    marks = ("id", "device_id", "stream", "sampled", "position", "frozen", "archived")
    bulk.insert(Stream, marks, [(id, id, f"{id:08x}", made.each, made.each, 0, 0) for id in ids])
    bulk.insert(Span, ("stream_id", "first", "last", "cause"), [(id, 1, made.each, None) for id in ids])


def _rows(made: Made, chance: random.Random) -> Iterator[tuple[object, ...]]:
    values = [round((20 + 4 * math.sin(i / 230) + chance.gauss(0, 0.05)) * 16) / 16 for i in range(CYCLE)]
    late = [chance.randrange(8) for _ in range(CYCLE)]
    travel = [chance.randrange(150, 650) for _ in range(CYCLE)]
    for device in range(1, made.devices + 1):
        offset = device * 7_919
        for seq in range(1, made.each + 1):
            at = (seq + offset) % CYCLE
            t = START + seq * MINUTE + late[at]
            if at % 5_000 == 17:
                yield device, seq, device, t, "ntp", None, "crc", t + travel[at]
            else:
                yield device, seq, device, t, "ntp", values[at], None, t + travel[at]
