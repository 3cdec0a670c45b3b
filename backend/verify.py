"""Proof that the archive and the database hold the same readings: every object is read back and compared row by row.

Nothing is repaired here; what is found is named: the object, the batch, the device, stream and seq.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from .archive import READINGS, archived_reading, day_of
from .database import AnyRow, Database
from .errors import NotFound
from .models import Batch, BatchSpan, Device, Reading, Span, Stream
from .objects import ObjectStore
from .parquet import ArchivedReading, decode


@dataclass(frozen=True)
class Finding:
    """One disagreement. kind: object-missing, object-altered, object-unknown, row-missing, row-differs, ledger."""

    kind: str
    text: str


@dataclass
class Verification:
    """What was compared so far. readings: rows equal in SQL and in S3; digest: of those rows, whatever their order."""

    objects: int = 0
    readings: int = 0
    digest: int = 0
    waiting: int = 0

    def count(self, reading: ArchivedReading) -> None:
        self.readings += 1
        self.digest = (self.digest + int.from_bytes(reading.digest(), "big")) % 2**256


def batches_to_check(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(Batch).where(Batch.uploaded_at.is_not(None))) or 0


def verify(database: Database, store: ObjectStore, done: Verification) -> Iterator[Finding | None]:
    """Findings as they are made, and None after each object that was compared; `done` counts along.

    Holds one object and its rows in memory. Raises DatabaseUnavailable, ObjectStoreUnavailable.
    """
    with database.read() as connection:
        ids = connection.scalars(select(Batch.id).where(Batch.uploaded_at.is_not(None)).order_by(Batch.id)).all()
        done.waiting = (
            connection.scalar(select(func.count()).select_from(Batch).where(Batch.uploaded_at.is_(None))) or 0
        )
    for batch_id in ids:
        with database.read() as connection:
            yield from _check_batch(connection, store, batch_id, done)
        done.objects += 1
        yield None
    yield from _unknown_objects(database, store)
    with database.read() as connection:
        yield from _check_ledger(connection)


def _check_batch(connection: Connection, store: ObjectStore, batch_id: int, done: Verification) -> Iterator[Finding]:
    batch = connection.execute(select(Batch.key, Batch.day, Batch.sha256, Batch.rows).where(Batch.id == batch_id)).one()
    try:
        body = store.get(batch.key)
    except NotFound:
        yield Finding("object-missing", f"{batch.key} is not in S3: {batch.rows} readings{_held(connection, batch_id)}")
        return
    found = hashlib.sha256(body).hexdigest()
    if found != batch.sha256:
        yield Finding("object-altered", f"{batch.key} was altered: its SHA-256 is {found}, it was {batch.sha256}")
    try:
        archived = {(row.device, row.stream, row.seq): row for row in decode(body)}
    except ValueError as error:
        yield Finding("object-altered", f"{batch.key} cannot be read: {error}")
        return
    stored = {(row.device, row.stream, row.seq): row for row in _rows(connection, batch_id, batch.day)}
    for key in sorted(archived.keys() | stored.keys()):
        name = "reading {} {} seq {}".format(*key)
        if key not in stored:
            yield Finding("row-missing", f"{name} is in {batch.key} but not in SQL")
        elif key not in archived:
            yield Finding("row-missing", f"{name} is in SQL but not in {batch.key}")
        elif archived[key].digest() != stored[key].digest():
            yield Finding("row-differs", f"{name} in {batch.key} is {archived[key]}, in SQL {stored[key]}")
        else:
            done.count(stored[key])


def _held(connection: Connection, batch_id: int) -> str:
    spans = connection.execute(
        select(Device.name, Stream.stream, BatchSpan.first, BatchSpan.last)
        .join(Stream, Stream.id == BatchSpan.stream_id)
        .join(Device, Device.id == Stream.device_id)
        .where(BatchSpan.batch_id == batch_id)
        .limit(4)
    ).all()
    shown = ", ".join(f"{device} {stream} seq {first}-{last}" for device, stream, first, last in spans[:3])
    return f" ({shown}{', ...' if len(spans) > 3 else ''})"


def _rows(connection: Connection, batch_id: int, day: str) -> Iterator[ArchivedReading]:
    of_batch = and_(
        BatchSpan.batch_id == batch_id,
        BatchSpan.stream_id == Reading.stream_id,
        Reading.seq.between(BatchSpan.first, BatchSpan.last),
    )
    for row in connection.execute(READINGS.join(BatchSpan, of_batch)):
        reading = archived_reading(row)
        if day_of(reading.t) == day:
            yield reading


def _unknown_objects(database: Database, store: ObjectStore) -> Iterator[Finding]:
    for entry in store.list():
        with database.read() as connection:
            known = connection.scalar(select(Batch.id).where(Batch.key == entry.key))
        if known is None:
            yield Finding("object-unknown", f"{entry.key} ({entry.size} bytes) is in S3, but no batch wrote it")


def _check_ledger(connection: Connection) -> Iterator[Finding]:
    streams = connection.execute(
        select(Stream.id, Stream.stream, Stream.sampled, Stream.archived, Device.name)
        .join(Device, Device.id == Stream.device_id)
        .order_by(Stream.id)
    ).all()
    for stream in streams:
        name = f"{stream.name} {stream.stream}"
        yield from _check_rows(connection, stream, name)
        archived = connection.scalar(
            select(func.coalesce(func.sum(BatchSpan.rows), 0))
            .join(Batch, Batch.id == BatchSpan.batch_id)
            .where(BatchSpan.stream_id == stream.id, Batch.uploaded_at.is_not(None))
        )
        if archived != stream.archived:
            yield Finding("ledger", f"{name}: {stream.archived} counted as archived, its objects hold {archived}")


def _check_rows(connection: Connection, stream: AnyRow, name: str) -> Iterator[Finding]:
    """Every seq that the ledger calls stored is a row, and every row is one that it calls stored."""
    within = and_(Span.stream_id == Reading.stream_id, Reading.seq.between(Span.first, Span.last))
    spans = connection.execute(
        select(Span.first, Span.last, Span.cause, func.count(Reading.seq).label("rows"))
        .join(Reading, within, isouter=True)
        .where(Span.stream_id == stream.id)
        .group_by(Span.first, Span.last, Span.cause)
        .order_by(Span.first)
    ).all()
    reached = 0
    for span in spans:
        if span.first <= reached:
            yield Finding("ledger", f"{name}: seq {span.first} is accounted for twice")
        reached = span.last
        wanted = span.last - span.first + 1 if span.cause is None else 0
        if span.rows != wanted and span.cause is not None:
            yield Finding("ledger", f"{name}: {span.rows} rows lie in the gap seq {span.first}-{span.last}")
        elif span.rows != wanted:
            yield from _missing_rows(connection, stream.id, span, name)
    outside = connection.scalar(select(func.count()).select_from(Reading).where(Reading.stream_id == stream.id))
    if outside != sum(span.rows for span in spans):
        yield Finding(
            "ledger", f"{name}: {outside} rows in SQL, {sum(span.rows for span in spans)} of them accounted for"
        )
    if reached > stream.sampled:
        yield Finding("ledger", f"{name}: seq {reached} is accounted for, but only {stream.sampled} were sampled")


def _missing_rows(connection: Connection, stream_id: int, span: AnyRow, name: str) -> Iterator[Finding]:
    expected = span.first
    seqs = connection.scalars(
        select(Reading.seq)
        .where(Reading.stream_id == stream_id, Reading.seq.between(span.first, span.last))
        .order_by(Reading.seq)
    )
    for seq in [*seqs, span.last + 1]:
        if seq > expected:
            which = f"seq {expected}" if seq == expected + 1 else f"seq {expected}-{seq - 1}"
            yield Finding("row-missing", f"reading {name} {which} was stored, but is not in SQL")
        expected = seq + 1
