"""python -m tools bench restore: a new database from S3 alone, beside a plain load of the same rows."""

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

RESTORE = "restore: S3 to SQL, with ledger, rollups, newest"
PROOF = "proof: all read back from S3 and SQL, and compared"
PLAIN = {
    "sqlite": "the same rows from memory, plain INSERT",
    "postgresql": "the same rows from memory, plain COPY",
}


@click.command()
@click.option("--readings", default=1_000_000, show_default=True, help="How many, of 1,000 devices, one a minute.")
@click.option("--rounds", default=5, show_default=True, help="Each measures everything once, one after the other.")
@click.option("--database", "kind", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
@chart_option
def restore(readings: int, rounds: int, kind: str, seed: int, as_json: bool, chart: Path | None) -> None:
    """Restore an archive into a new database and prove that both agree, beside a plain load of the same rows.

    The plain load is PostgreSQL's COPY, or SQLite's multi-row INSERT, into the same table with the same indexes,
    from memory, in one transaction. Digests of old and new database must be equal.

    \b
    python -m tools bench restore --database postgresql --chart restore.png
    """
    from backend.archive import Archive

    if chart:
        pyplot()  # before minutes of work: it may be missing
    made = Made(min(1000, readings), readings // min(1000, readings))
    outcome = Outcome(f"{made.readings:,} readings from S3 into {kind}, seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="thermograph-bench-") as name,
        local_s3(Path(name)) as store,
        new_database(Path(name), kind, "old") as old,
    ):
        fill(old, made, seed, quiet=as_json)
        keeper = Archive(old, store, rows=50_000, age=1)
        while keeper.freeze():
            keeper.upload()
        wanted = _digest(old, store)
        equal = 0
        for number in range(rounds):
            with new_database(Path(name), kind, f"new{number}") as new:
                equal += _restore(new, store, outcome) == wanted
            with new_database(Path(name), kind, f"plain{number}") as plain:
                _load(old, plain, outcome, PLAIN[kind])
    outcome.facts["readings/s"] = round(made.readings / outcome.median(RESTORE))
    outcome.facts["restore / plain load"] = outcome.ratio(RESTORE, PLAIN[kind])
    outcome.goals.append(Goal("rounds in which both digests are equal", equal, rounds))
    if chart:
        draw_outcome(outcome, chart)
    print(outcome.as_json()) if as_json else outcome.show()
    raise SystemExit(0 if all(goal.passed for goal in outcome.goals) else 1)


def _restore(new: "Database", store: "ObjectStore", outcome: Outcome) -> int:
    from backend import restore

    started = time.perf_counter()
    restore.begin(new)
    for _ in restore.load(new, store, restore.objects(store), restore.Restored()):
        pass
    restore.finish(new)
    outcome.add(RESTORE, time.perf_counter() - started)
    started = time.perf_counter()
    digest = _digest(new, store)
    outcome.add(PROOF, time.perf_counter() - started)
    return digest


def _digest(database: "Database", store: "ObjectStore") -> int:
    """Of all readings, if S3 and the database agree; -1 if they do not."""
    from backend.verify import Finding, Verification, verify

    done = Verification()
    disagree = [found for found in verify(database, store, done) if isinstance(found, Finding)]
    return -1 if disagree else done.digest


def _load(old: "Database", plain: "Database", outcome: Outcome, name: str) -> None:
    from sqlalchemy import select

    from backend.bulk import Bulk
    from backend.models import Channel, Device, Reading, Stream

    tables: Any = [model.__table__ for model in (Device, Channel, Stream)]
    with old.read() as connection:
        rows = connection.execute(select(*Reading.__table__.columns).order_by(Reading.stream_id, Reading.seq)).all()
        named = [[dict(row._mapping) for row in connection.execute(select(table))] for table in tables]
    with plain.write() as connection:
        for table, of_table in zip(tables, named, strict=True):
            connection.execute(table.insert(), of_table)
    started = time.perf_counter()
    with plain.write() as connection:
        Bulk(connection).insert_readings(rows)
    outcome.add(name, time.perf_counter() - started)
