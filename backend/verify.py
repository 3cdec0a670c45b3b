"""Proof that the archive and the database hold the same readings: every object is read back and compared row by row.

Nothing is repaired here; what is found is named: the object, the batch, the device, stream and seq.
"""

import hashlib
import heapq
import itertools
from collections.abc import Container, Generator, Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, and_, func, select

from . import chain, hot_window, manifest
from .database import AnyRow, Database
from .errors import NotFound, VerificationFailed
from .models import Batch, BatchSpan, Device, Reading, Span, Stream
from .objects import ObjectStore
from .parquet import ArchivedGap, ArchivedReading, DayDigest, Readings, decode

PAGE = 1000


@dataclass(frozen=True)
class Finding:
    """One disagreement.

    kind: object-missing, object-altered, object-unknown, row-missing, row-differs, gap-differs, ledger.
    """

    kind: str
    text: str


@dataclass
class Verification:
    """What was compared so far. readings: rows equal in SQL and in S3, and those that S3 alone holds (`dropped`).

    digest: of those rows, whatever objects they lie in: equal to another database's if the readings are.
    """

    objects: int = 0
    readings: int = 0
    dropped: int = 0
    gaps: int = 0
    digest: int = 0
    waiting: int = 0
    _gap_readings: dict[tuple[str, str], int] = field(default_factory=dict, repr=False)

    def count(self, digest: DayDigest) -> None:
        self.readings += digest.readings
        self.digest = (self.digest + digest.digest) % 2**256


def batches_to_check(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(Batch).where(Batch.uploaded_at.is_not(None))) or 0


def verify(database: Database, store: ObjectStore, done: Verification) -> Iterator[Finding | DayDigest | None]:
    """Findings as they are made, None after each object that was compared; `done` counts along.

    After a day's last object, the digest of each device's readings of that day. Holds one object and its rows in
    memory, and a number for each device. Raises DatabaseUnavailable, ObjectStoreUnavailable.
    """
    with database.read() as connection:
        done.waiting = (
            connection.scalar(select(func.count()).select_from(Batch).where(Batch.uploaded_at.is_(None))) or 0
        )
    day = ""
    of_day: dict[str, DayDigest] = {}
    for batch in _uploaded(database):
        if batch.day != day:
            yield from of_day.values()
            day, of_day = batch.day, {}
        with database.read() as connection:
            yield from _check_batch(connection, store, batch, done, of_day)
        done.objects += 1
        yield None
    yield from of_day.values()
    yield from _unknown_objects(database, store)
    with database.read() as connection:
        yield from _check_ledger(connection, done)


def _uploaded(database: Database) -> Iterator[AnyRow]:
    """Every uploaded batch, by day."""
    day, last = "", 0
    while True:
        with database.read() as connection:
            batches = connection.execute(
                select(Batch.id, Batch.key, Batch.day, Batch.sha256, Batch.rows)
                .where(Batch.uploaded_at.is_not(None))
                .where((Batch.day > day) | ((Batch.day == day) & (Batch.id > last)))
                .order_by(Batch.day, Batch.id)
                .limit(PAGE)
            ).all()
        if not batches:
            return
        yield from batches
        day, last = batches[-1].day, batches[-1].id


def check_batch(connection: Connection, store: ObjectStore, batch: AnyRow, done: Verification) -> Iterator[Finding]:
    """One uploaded batch: its object is read back, its SHA-256 and its rows are compared. See verify()."""
    yield from _check_batch(connection, store, batch, done, {})


def _check_batch(
    connection: Connection, store: ObjectStore, batch: AnyRow, done: Verification, of_day: dict[str, DayDigest]
) -> Iterator[Finding]:
    try:
        body = store.get(batch.key)
    except NotFound:
        yield Finding("object-missing", f"{batch.key} is not in S3: {batch.rows} readings{_held(connection, batch.id)}")
        return
    found = hashlib.sha256(body).hexdigest()
    if found != batch.sha256:
        yield Finding("object-altered", f"{batch.key} was altered: its SHA-256 is {found}, it was {batch.sha256}")
    try:
        archived, gaps = decode(body)
    except ValueError as error:
        yield Finding("object-altered", f"{batch.key} cannot be read: {error}")
        return
    yield from _check_gaps(connection, batch, gaps, done)
    # Asked in the snapshot in which the rows are read: the archiver may have let them go since the batches were listed.
    dropped_at = connection.scalar(select(Batch.dropped_at).where(Batch.id == batch.id))
    if dropped_at is None:
        held = hot_window.of_batch(connection, batch.id, batch.day)
        equal = archived
        if archived != held:
            equal = yield from _differences(batch.key, archived, held)
    else:
        equal = archived
        done.dropped += len(archived)
        if len(archived) != batch.rows:
            yield Finding("row-missing", f"{batch.key} holds {len(archived)} readings, {batch.rows} were archived")
    for digest in equal.digests():
        done.count(digest)
        before = of_day.get(digest.device)
        of_day[digest.device] = digest if before is None else before + digest


def _differences(key: str, in_s3: Readings, in_sql: Readings) -> Generator[Finding, None, Readings]:
    """Each row that differs; returns those that are equal."""
    archived, stored = (
        {(row.device, row.stream, row.seq): row for row in readings.rows()} for readings in (in_s3, in_sql)
    )
    equal: list[ArchivedReading] = []
    for identity in sorted(archived.keys() | stored.keys()):
        name = "reading {} {} seq {}".format(*identity)
        if identity not in stored:
            yield Finding("row-missing", f"{name} is in {key} but not in SQL")
        elif identity not in archived:
            yield Finding("row-missing", f"{name} is in SQL but not in {key}")
        elif archived[identity] != stored[identity]:
            yield Finding("row-differs", f"{name} in {key} is {archived[identity]}, in SQL {stored[identity]}")
        else:
            equal.append(stored[identity])
    if len(archived) != len(in_s3):
        yield Finding("object-altered", f"{key} holds {len(in_s3) - len(archived)} readings twice")
    return Readings.of_rows(equal)


def _check_gaps(
    connection: Connection, batch: AnyRow, gaps: list[ArchivedGap], done: Verification
) -> Iterator[Finding]:
    """Every gap that an object names is one of the ledger's."""
    for gap in gaps:
        of_stream = (gap.device, gap.stream)
        done.gaps += 1
        done._gap_readings[of_stream] = done._gap_readings.get(of_stream, 0) + gap.last - gap.first + 1
        known = connection.scalar(
            select(Span.cause)
            .join(Stream, Stream.id == Span.stream_id)
            .join(Device, Device.id == Stream.device_id)
            .where(Device.name == gap.device, Stream.stream == gap.stream)
            .where(Span.first <= gap.first, Span.last >= gap.last)
        )
        if known != gap.cause:
            yield Finding(
                "gap-differs",
                f"{gap.device} {gap.stream} seq {gap.first}-{gap.last} is a gap ({gap.cause}) in {batch.key}, but "
                + (f"one of another cause ({known}) in SQL" if known else "none in SQL"),
            )


def _held(connection: Connection, batch_id: int) -> str:
    spans = connection.execute(
        select(Device.name, Stream.stream, BatchSpan.first, BatchSpan.last)
        .join(Stream, Stream.id == BatchSpan.stream_id)
        .join(Device, Device.id == Stream.device_id)
        .where(BatchSpan.batch_id == batch_id)
        .limit(4)
    ).all()
    shown = ", ".join(f"{device} {stream} seq {first}-{last}" for device, stream, first, last in spans[:3])
    return f" ({shown}{', ...' if len(spans) > 3 else ''})" if spans else ""


def _unknown_objects(database: Database, store: ObjectStore) -> Iterator[Finding]:
    replaced: Container[str] | None = None
    objects = (entry for entry in store.list() if not entry.key.startswith(manifest.FOLDER))
    while page := list(itertools.islice(objects, PAGE)):
        with database.read() as connection:
            known = set(connection.scalars(select(Batch.key).where(Batch.key.in_([entry.key for entry in page]))))
        for entry in page:
            if entry.key in known:
                continue
            # What a day's one object was made of stays for a while.
            replaced = _replaced(store) if replaced is None else replaced
            if entry.key not in replaced:
                yield Finding("object-unknown", f"{entry.key} ({entry.size} bytes) is in S3, but no batch wrote it")


def _replaced(store: ObjectStore) -> Container[str]:
    try:
        return chain.load(store).replaced
    except VerificationFailed:
        # `python -m tools chain` says what is wrong with it.
        return ()


def _check_ledger(connection: Connection, done: Verification) -> Iterator[Finding]:
    streams = connection.execute(
        select(Stream.id, Stream.stream, Stream.sampled, Stream.archived, Stream.frozen, Device.name)
        .join(Device, Device.id == Stream.device_id)
        .order_by(Stream.id)
    ).all()
    uploaded = _in_batches(connection, Batch.uploaded_at.is_not(None))
    dropped = _in_batches(connection, Batch.dropped_at.is_not(None))
    for stream in streams:
        name = f"{stream.name} {stream.stream}"
        yield from _check_rows(connection, stream, name, dropped.get(stream.id, 0))
        archived = uploaded.get(stream.id, 0)
        if archived != stream.archived:
            yield Finding("ledger", f"{name}: {stream.archived} counted as archived, its objects hold {archived}")
        if not done.waiting:
            lost = _lost(connection, stream)
            told = done._gap_readings.get((stream.name, stream.stream), 0)
            if lost != told:
                yield Finding("gap-differs", f"{name}: {lost} readings lost up to seq {stream.frozen}, S3 names {told}")


def _in_batches(connection: Connection, which: ColumnElement[bool]) -> dict[int, int]:
    """stream id → its readings in these batches."""
    rows = connection.execute(
        select(BatchSpan.stream_id, func.sum(BatchSpan.rows))
        .join(Batch, Batch.id == BatchSpan.batch_id)
        .where(which)
        .group_by(BatchSpan.stream_id)
    )
    return {stream_id: int(readings) for stream_id, readings in rows}


def _lost(connection: Connection, stream: AnyRow) -> int:
    """Readings in the stream's gaps up to where it is frozen."""
    gaps = connection.execute(
        select(Span.first, Span.last).where(
            Span.stream_id == stream.id, Span.cause.is_not(None), Span.first <= stream.frozen
        )
    )
    return sum(min(last, stream.frozen) - first + 1 for first, last in gaps)


def _check_rows(connection: Connection, stream: AnyRow, name: str, dropped: int) -> Iterator[Finding]:
    """Every seq that the ledger calls stored is a row, or left SQL after the archive; every row is one of those."""
    within = and_(Span.stream_id == Reading.stream_id, Reading.seq.between(Span.first, Span.last))
    spans = connection.execute(
        select(Span.first, Span.last, Span.cause, func.count(Reading.seq).label("rows"))
        .join(Reading, within, isouter=True)
        .where(Span.stream_id == stream.id)
        .group_by(Span.first, Span.last, Span.cause)
        .order_by(Span.first)
    ).all()
    reached = stored = 0
    for span in spans:
        if span.first <= reached:
            yield Finding("ledger", f"{name}: seq {span.first} is accounted for twice")
        reached = span.last
        if span.cause is None:
            stored += span.last - span.first + 1
        elif span.rows:
            yield Finding("ledger", f"{name}: {span.rows} rows lie in the gap seq {span.first}-{span.last}")
    kept = sum(span.rows for span in spans)
    if kept + dropped < stored:
        missing = list(_missing_rows(connection, stream.id, [span for span in spans if span.cause is None], name))
        yield from missing or [
            Finding("ledger", f"{name}: {stored} stored, but {kept} rows in SQL, {dropped} in S3 only")
        ]
    elif kept + dropped > stored:
        yield Finding("ledger", f"{name}: {kept} rows in SQL and {dropped} in S3 only, but {stored} are accounted for")
    outside = connection.scalar(select(func.count()).select_from(Reading).where(Reading.stream_id == stream.id))
    if outside != kept:
        yield Finding("ledger", f"{name}: {outside} rows in SQL, {kept} of them accounted for")
    if reached > stream.sampled:
        yield Finding("ledger", f"{name}: seq {reached} is accounted for, but only {stream.sampled} were sampled")


def _missing_rows(connection: Connection, stream_id: int, spans: list[AnyRow], name: str) -> Iterator[Finding]:
    """The seq of these spans that are neither rows in SQL nor within what left it."""
    left = connection.execute(
        select(BatchSpan.first, BatchSpan.last)
        .join(Batch, Batch.id == BatchSpan.batch_id)
        .where(BatchSpan.stream_id == stream_id, Batch.dropped_at.is_not(None))
        .order_by(BatchSpan.first)
    ).all()
    for span in spans:
        held = connection.execute(
            select(Reading.seq)
            .where(Reading.stream_id == stream_id, Reading.seq.between(span.first, span.last))
            .order_by(Reading.seq)
        )
        present = heapq.merge(((seq, seq) for (seq,) in held), ((first, last) for first, last in left))
        for first, last in _holes(present, span.first, span.last):
            which = f"seq {first}" if first == last else f"seq {first}-{last}"
            yield Finding("row-missing", f"reading {name} {which} was stored, but is not in SQL")


def _holes(present: Iterable[tuple[int, int]], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The parts of first..last that no (first, last) of `present` covers, which are in order of their first."""
    for begin, end in present:
        if begin > last:
            break
        if begin > first:
            yield first, begin - 1
        first = max(first, end + 1)
    if first <= last:
        yield first, last
