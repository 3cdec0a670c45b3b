"""The archive by days: which objects hold a UTC day, what of it is not archived yet, and whether an object is sound.

Reads only. Sizes in bytes, times in Unix ms UTC, days as YYYY-MM-DD.
"""

import dataclasses
import threading
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from . import manifest
from .database import AnyRow, Database
from .errors import NotFound
from .hot_window import day_of
from .manifest import Contents
from .models import Batch, Reading, Stream
from .objects import ObjectStore
from .verify import Verification, check_batch

DAY = 86_400_000


@dataclasses.dataclass(frozen=True)
class ArchiveObject:
    """state: frozen (its bytes wait in SQL), uploaded, or dropped (read back and equal; its rows have left SQL)."""

    key: str
    day: str
    rows: int
    size: int
    sha256: str
    state: str
    frozen_at: int
    uploaded_at: int | None
    dropped_at: int | None


@dataclasses.dataclass(frozen=True)
class Day:
    """objects: oldest first; waiting: its readings that are in no object yet."""

    day: str
    objects: tuple[ArchiveObject, ...]
    waiting: int

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.objects)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.objects)

    @property
    def state(self) -> str:
        """The least that can be said of all of it: waiting, frozen, uploaded or dropped."""
        if self.waiting:
            return "waiting"
        states = {one.state for one in self.objects}
        return next((state for state in ("frozen", "uploaded") if state in states), "dropped")


@dataclasses.dataclass(frozen=True)
class Checked:
    """What reading one object back from S3 found. rows: those that are as they should be; findings: what is not."""

    key: str
    rows: int
    findings: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        return not self.findings


def days(connection: Connection, first: str = "", last: str = "9999") -> list[Day]:
    """The days from first to last that have readings or objects, newest first."""
    held: dict[str, list[ArchiveObject]] = {}
    for one in objects(connection, first, last):
        held.setdefault(one.day, []).append(one)
    waiting = {day: count for day, count in _waiting(connection).items() if first <= day <= last}
    return [
        Day(day, tuple(held.get(day, ())), waiting.get(day, 0)) for day in sorted(held.keys() | waiting, reverse=True)
    ]


def objects(connection: Connection, first: str = "", last: str = "9999") -> list[ArchiveObject]:
    """By day and age."""
    rows = connection.execute(_objects().where(Batch.day >= first, Batch.day <= last).order_by(Batch.day, Batch.id))
    return [_object(row) for row in rows]


def of_key(connection: Connection, key: str) -> ArchiveObject:
    """Only what SQL knows of: a key is never a path. Raises NotFound."""
    row = connection.execute(_objects().where(Batch.key == key)).one_or_none()
    if row is None:
        raise NotFound("There is no such object in the archive.", "Its day may have been joined into one object since.")
    return _object(row)


def check(database: Database, store: ObjectStore, key: str) -> Checked:
    """Read the object back from S3; compare its SHA-256, and its rows with SQL's where they are still there.

    Holds one object and its rows in memory. Raises NotFound, DatabaseUnavailable, ObjectStoreUnavailable.
    """
    done = Verification()
    with database.read() as connection:
        row = connection.execute(
            select(Batch.id, Batch.key, Batch.day, Batch.sha256, Batch.rows, Batch.dropped_at, Batch.uploaded_at).where(
                Batch.key == key
            )
        ).one_or_none()
        if row is None:
            raise NotFound("There is no such object in the archive.")
        if row.uploaded_at is None:
            return Checked(key, 0, ("It is not uploaded yet: its bytes wait in SQL.",))
        findings = tuple(finding.text for finding in check_batch(connection, store, row, done))
    return Checked(key, done.readings, findings)


class Seals:
    """Which manifest of the chain names an object. Remembers those it has read: each is read from S3 once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._contents = Contents()
        self._numbers: dict[str, int] = {}

    def numbers(self) -> dict[str, int]:
        """Object's key → number of the manifest that has added it, of those that stand.

        Raises ObjectStoreUnavailable, and ValueError for a manifest that is none: `python -m tools chain` says more.
        """
        with self._lock:
            for entry in self._store.list(manifest.FOLDER):
                if entry.key > f"{manifest.FOLDER}{self._contents.number:08d}.json":
                    body = self._store.get(entry.key)
                    found = manifest.decode(body)
                    self._contents.follow(found, body)
                    self._numbers.update((added.key, found.number) for added in found.added)
            return {key: number for key, number in self._numbers.items() if key in self._contents.live}

    def sealed(self, day: str) -> bool:
        """As far as numbers() has read."""
        return self._contents.sealed(day)


def _objects() -> Select[*tuple[Any, ...]]:
    columns = (
        Batch.key,
        Batch.day,
        Batch.rows,
        Batch.size,
        Batch.sha256,
        Batch.frozen_at,
        Batch.uploaded_at,
        Batch.dropped_at,
    )
    return select(*columns)


def _object(row: AnyRow) -> ArchiveObject:
    state = "frozen" if row.uploaded_at is None else "uploaded" if row.dropped_at is None else "dropped"
    return ArchiveObject(
        row.key, row.day, row.rows, row.size, row.sha256, state, row.frozen_at, row.uploaded_at, row.dropped_at
    )


def _waiting(connection: Connection) -> dict[str, int]:
    """Day → its readings that are in no batch."""
    number = (Reading.t // DAY).label("number")
    rows = connection.execute(
        select(number, func.count())
        .select_from(Stream)
        .join(Reading, and_(Reading.stream_id == Stream.id, Reading.seq > Stream.frozen))
        .where(Stream.sampled > Stream.frozen)
        .group_by(number)
    )
    return {day_of(int(day) * DAY): int(count) for day, count in rows}


@dataclasses.dataclass(frozen=True)
class Totals:
    """Of the whole archive. waiting: readings in no object yet; oldest, newest: days with objects, or None."""

    days: int
    objects: int
    rows: int
    size: int
    waiting: int
    oldest: str | None
    newest: str | None


def totals(connection: Connection) -> Totals:
    row = connection.execute(
        select(
            func.count(func.distinct(Batch.day)),
            func.count(),
            func.coalesce(func.sum(Batch.rows), 0),
            func.coalesce(func.sum(Batch.size), 0),
            func.min(Batch.day),
            func.max(Batch.day),
        )
    ).one()
    # A sum of integers is a decimal in PostgreSQL.
    found, count, rows, size, oldest, newest = row
    return Totals(found, count, int(rows), int(size), sum(_waiting(connection).values()), oldest, newest)
