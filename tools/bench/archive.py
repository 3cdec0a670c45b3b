"""python -m tools bench archive: readings from SQL to S3, beside writing the same Parquet files to disk."""

import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .chart import chart_option, draw_outcome, pyplot
from .made_readings import Made, fill
from .outcome import Goal, Outcome
from .places import local_s3, new_database

if TYPE_CHECKING:
    from backend.database import Database
    from backend.objects import ObjectStore

ARCHIVE = "archive: SQL to S3, with ledger"
DISK = "the same Parquet, SQL to disk"
ENCODED = "the same Parquet, memory to disk"
COLUMNS = ("device", "stream", "seq", "sensor", "unit", "t", "tq", "value", "fault", "received")


@click.command()
@click.option("--readings", default=1_000_000, show_default=True, help="How many, of 1,000 devices, one a minute.")
@click.option(
    "--rows", default=50_000, show_default=True, help="Readings that fill a batch (THERMOGRAPH_ARCHIVE_ROWS)."
)
@click.option("--rounds", default=5, show_default=True, help="Each measures everything once, one after the other.")
@click.option("--database", "kind", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
@chart_option
def archive(readings: int, rows: int, rounds: int, kind: str, seed: int, as_json: bool, chart: Path | None) -> None:
    """Archive readings to an S3 server on this machine, beside writing the very same Parquet files to disk.

    To disk twice: with the readings read from SQL, as the archive has to, and from memory, which is Parquet alone.
    Each file is synced to disk, as the S3 server's are by it. The size is set beside NDJSON.gz of the same readings.
    """
    if chart:
        pyplot()  # before minutes of work: it may be missing
    made = Made(min(1000, readings), readings // min(1000, readings))
    outcome = Outcome(f"{made.readings:,} readings from {kind} to S3, {rows:,} rows a batch, seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="thermograph-bench-") as name,
        local_s3(Path(name)) as store,
        new_database(Path(name), kind) as database,
    ):
        fill(database, made, seed, quiet=as_json)
        for _ in range(rounds):
            _round(database, store, Path(name), rows, outcome)
        _sizes(database, store, outcome)
    rate = made.readings / outcome.median(ARCHIVE)
    outcome.facts["readings/s to S3"] = round(rate)
    outcome.facts["archive / Parquet alone, from memory"] = outcome.ratio(ARCHIVE, ENCODED)
    outcome.goals.append(Goal("archive / the same Parquet to disk", outcome.ratio(ARCHIVE, DISK), 0.5))
    if chart:
        draw_outcome(outcome, chart)
    print(outcome.as_json()) if as_json else outcome.show()
    raise SystemExit(0 if all(goal.passed for goal in outcome.goals) else 1)


def _round(database: "Database", store: "ObjectStore", folder: Path, rows: int, outcome: Outcome) -> None:
    from sqlalchemy import select

    from backend import hot_window
    from backend.archive import Archive
    from backend.models import Batch
    from backend.parquet import encode

    _forget(database, store)
    started = time.perf_counter()
    keeper = Archive(database, store, rows=rows, age=1)
    while keeper.freeze():
        keeper.upload()
    outcome.add(ARCHIVE, time.perf_counter() - started)
    with database.read() as connection:
        batches = connection.execute(select(Batch.id, Batch.day, Batch.size)).all()
    started = time.perf_counter()
    kept = []
    for batch in batches:
        with database.read() as connection:
            held = hot_window.of_batch(connection, batch.id, batch.day)
        _write(folder / "object.parquet", encode(held))
        kept.append(held)
    outcome.add(DISK, time.perf_counter() - started)
    started = time.perf_counter()
    for held in kept:
        _write(folder / "object.parquet", encode(held))
    outcome.add(ENCODED, time.perf_counter() - started)


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _forget(database: "Database", store: "ObjectStore") -> None:
    """As if nothing had been archived yet."""
    from sqlalchemy import delete, update

    from backend.models import Batch, BatchSpan, Stream

    for entry in list(store.list()):
        store.delete(entry.key)
    with database.write() as connection:
        connection.execute(delete(BatchSpan))
        connection.execute(delete(Batch))
        connection.execute(update(Stream).values(frozen=0, archived=0))


def _sizes(database: "Database", store: "ObjectStore", outcome: Outcome) -> None:
    """Bytes a reading, beside those of NDJSON.gz: of the largest object's readings, which is enough to know."""
    from backend.parquet import decode

    entries = list(store.list())
    largest = max(entries, key=lambda entry: entry.size)
    rows = decode(store.get(largest.key))[0].rows()
    lines = (json.dumps({name: getattr(row, name) for name in COLUMNS}, separators=(",", ":")) for row in rows)
    packed = gzip.compress("\n".join(lines).encode(), compresslevel=6)
    total: Any = sum(entry.size for entry in entries)
    readings = _archived(database)
    outcome.facts["objects"] = len(entries)
    outcome.facts["NDJSON.gz, bytes a reading"] = len(packed) / len(rows)
    outcome.goals.append(Goal("Parquet, bytes a reading", total / readings, 4.0, at_most=True))
    outcome.goals.append(Goal("Parquet / NDJSON.gz", largest.size / len(packed), 0.5, at_most=True))


def _archived(database: "Database") -> int:
    from sqlalchemy import func, select

    from backend.models import Stream

    with database.read() as connection:
        return int(connection.execute(select(func.sum(Stream.archived))).scalar_one())
