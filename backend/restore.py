"""A new database from the archive alone: what S3 holds, and nothing else.

Each object is one transaction: a restore that was killed goes on where it was. The archive cannot know what never
reached it: readings that waited in SQL or on a device, and what is no reading: who confirmed a device, calibrations,
health, rejected messages. Devices come back as new, a stream as sampled up to its last archived reading or gap, and a
hole that no object explains as a gap whose cause says so. `verify` on the new database is the proof.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, update

from . import derived, failpoints, hot_window
from .bulk import Bulk
from .database import Database, add_missing, insert_one
from .errors import AlreadyThere, VerificationFailed
from .freezing import now
from .models import Batch, BatchSpan, Channel, Device, Lease, Progress, Reading, Span, Stream
from .objects import ObjectStore, StoredObject
from .parquet import ArchivedGap, Readings, decode

# The row in `leases` that says: this database is being restored, and not complete.
UNFINISHED = "restore"
UNEXPLAINED = "not-archived"
SUFFIX = ".parquet"


@dataclass
class Restored:
    """What was done so far. twice: readings that an earlier object had brought, equal in each field."""

    objects: int = 0
    readings: int = 0
    gaps: int = 0
    twice: int = 0


def begin(database: Database) -> None:
    """Claim the database for a restore. Raises AlreadyThere when it holds what no restore put there."""
    with database.write() as connection:
        if connection.scalar(select(Lease.name).where(Lease.name == UNFINISHED)):
            return
        for table in (Device, Batch, Reading):
            if connection.execute(select(text("1")).select_from(table).limit(1)).first():
                raise AlreadyThere(
                    f"{database.name} is not empty: it has {table.__tablename__}. A restore makes a new database.",
                    "Name one that does not exist yet by THERMOGRAPH_DATABASE.",
                )
        connection.execute(insert(Lease).values(name=UNFINISHED, holder="", beats=0))
    failpoints.reach("restore.begun")


def objects(store: ObjectStore) -> Iterator[StoredObject]:
    """The archive's objects, by day. Raises ObjectStoreUnavailable.

    The largest of a day first: where a day was joined into one object, and those it was made of are still there, they
    have nothing new to say.
    """
    found = (entry for entry in store.list() if entry.key.startswith("day=") and entry.key.endswith(SUFFIX))
    for _, of_day in itertools.groupby(found, key=lambda entry: _day(entry.key)):
        yield from sorted(of_day, key=lambda entry: (-entry.size, entry.key))


def load(database: Database, store: ObjectStore, entries: Iterable[StoredObject], done: Restored) -> Iterator[int]:
    """Take in the objects that are not in the database yet; yields the bytes of each, done or skipped.

    Holds one object in memory. Raises DatabaseUnavailable, ObjectStoreUnavailable, NotFound, VerificationFailed.
    """
    for entry in entries:
        with database.read() as connection:
            known = connection.scalar(select(Batch.id).where(Batch.key == entry.key))
        if known is None:
            body = store.get(entry.key)
            readings, gaps = _open(entry.key, body)
            failpoints.reach("restore.fetched")
            with database.write() as connection:
                stored = _take(connection, entry.key, body, readings, gaps)
                failpoints.reach("restore.taken")
            failpoints.reach("restore.loaded")
            done.readings += stored
            done.twice += len(readings) - stored
            done.gaps += len(gaps)
        done.objects += 1
        yield entry.size


def finish(database: Database) -> None:
    """The ledger, the newest readings and the rollups, out of what was loaded: one transaction, the restore's last.

    Raises DatabaseUnavailable.
    """
    with database.write() as connection:
        _write_spans(connection)
        failpoints.reach("restore.spans")
        _write_streams(connection)
        failpoints.reach("restore.streams")
        derived.write_rollups(connection)
        failpoints.reach("restore.rollups")
        derived.write_newest(connection)
        failpoints.reach("restore.newest")
        connection.execute(delete(Lease).where(Lease.name == UNFINISHED))
    failpoints.reach("restore.finished")


def _open(key: str, body: bytes) -> tuple[Readings, list[ArchivedGap]]:
    """The object's content, if its bytes are those that its name is made of. Raises VerificationFailed."""
    sha256 = hashlib.sha256(body).hexdigest()
    name = key.rsplit("/", 1)[-1].removesuffix(SUFFIX)
    if not sha256.startswith(name):
        raise VerificationFailed(
            f"{key} was altered: its SHA-256 is {sha256}.",
            "If the bucket keeps versions, bring back the one before; then run restore again: it goes on.",
        )
    try:
        return decode(body)
    except ValueError as error:
        raise VerificationFailed(f"{key}: {error}.") from error


def _take(connection: Connection, key: str, body: bytes, readings: Readings, gaps: Sequence[ArchivedGap]) -> int:
    """Write one object's readings, gaps and batch; how many readings were new."""
    columns = readings.columns()
    named = sorted(
        {*zip(columns["device"], columns["stream"], strict=True), *((gap.device, gap.stream) for gap in gaps)}
    )
    devices = _devices(connection, {device for device, _ in named})
    streams = _streams(connection, devices, named)
    channels = _channels(
        connection, devices, set(zip(columns["device"], columns["sensor"], columns["unit"], strict=True))
    )
    stream_ids = [streams[key] for key in zip(columns["device"], columns["stream"], strict=True)]
    channel_ids = [channels[key] for key in zip(columns["device"], columns["sensor"], columns["unit"], strict=True)]
    rest = (columns[name] for name in ("t", "tq", "value", "fault", "received"))
    rows = sorted(zip(stream_ids, columns["seq"], channel_ids, *rest, strict=True))
    new = _without_known(connection, key, rows)
    Bulk(connection).insert_readings(new)
    failpoints.reach("restore.readings")
    if gaps:
        spans = [
            {"stream_id": streams[gap.device, gap.stream], "first": gap.first, "last": gap.last, "cause": gap.cause}
            for gap in gaps
        ]
        add_missing(connection, Span, spans)
    if new or not rows:
        _write_batch(connection, key, body, rows)
    return len(new)


def _day(key: str) -> str:
    return key.removeprefix("day=").split("/")[0]


def _without_known(connection: Connection, key: str, rows: list[Any]) -> list[Any]:
    """The rows that no object brought yet. Raises VerificationFailed when one brought another reading of that name."""
    known: dict[tuple[int, int], Any] = {}
    for stream_id, first, last in _ranges(rows):
        found = hot_window.of_stream(connection, stream_id, first - 1, last, last - first + 1)
        known.update(((row[0], row[1]), tuple(row)) for row in found)
    for row in rows if known else ():
        held = known.get(row[:2])
        if held is not None and held != row:
            raise VerificationFailed(
                f"Two objects disagree: {key} has seq {row[1]} as {row[2:]}, another as {held[2:]}."
            )
    return [row for row in rows if row[:2] not in known] if known else rows


def _ranges(rows: Sequence[Any]) -> list[tuple[int, int, int]]:
    """(stream id, first seq, last seq) of each stream in the rows, which are in that order."""
    found: dict[int, tuple[int, int, int]] = {}
    for stream_id, seq, *_ in rows:
        found[stream_id] = (stream_id, found[stream_id][1] if stream_id in found else seq, seq)
    return list(found.values())


def _write_batch(connection: Connection, key: str, body: bytes, rows: Sequence[Any]) -> None:
    at = now()
    batch = {
        "day": _day(key),
        "key": key,
        "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body),
        "rows": len(rows),
        "frozen_at": at,
        "uploaded_at": at,
    }
    batch_id = insert_one(connection, Batch, batch)
    counts: dict[int, int] = {}
    for row in rows:
        counts[row[0]] = counts.get(row[0], 0) + 1
    spans = [
        {"batch_id": batch_id, "stream_id": stream_id, "first": first, "last": last, "rows": counts[stream_id]}
        for stream_id, first, last in _ranges(rows)
    ]
    if spans:
        connection.execute(insert(BatchSpan), spans)


def _devices(connection: Connection, names: set[str]) -> dict[str, int]:
    if names:
        add_missing(connection, Device, [{"name": name, "enrolled": False, "created": now()} for name in sorted(names)])
    found = Bulk(connection).select("SELECT name, id FROM devices WHERE name IN :keys", names)
    return {name: id for name, id in found}


def _streams(
    connection: Connection, devices: dict[str, int], named: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    if named:
        marks = dict.fromkeys(("sampled", "position", "frozen", "archived"), 0)
        rows = [{"device_id": devices[device], "stream": stream, **marks} for device, stream in named]
        add_missing(connection, Stream, rows)
    found = Bulk(connection).select(
        "SELECT d.name, s.stream, s.id FROM streams s JOIN devices d ON d.id = s.device_id WHERE d.name IN :keys",
        devices,
    )
    return {(device, stream): id for device, stream, id in found}


def _channels(
    connection: Connection, devices: dict[str, int], named: set[tuple[str, str, str]]
) -> dict[tuple[str, str, str], int]:
    if named:
        rows = [
            {"device_id": devices[device], "sensor": sensor, "unit": unit} for device, sensor, unit in sorted(named)
        ]
        add_missing(connection, Channel, rows)
    found = Bulk(connection).select(
        "SELECT d.name, c.sensor, c.unit, c.id FROM channels c JOIN devices d ON d.id = c.device_id"
        " WHERE d.name IN :keys",
        devices,
    )
    return {(device, sensor, unit): id for device, sensor, unit, id in found}


def _write_spans(connection: Connection) -> None:
    """Runs of stored seq, out of the readings; gaps of one cause that touch, joined; and what is left unexplained."""
    row_number = func.row_number().over(partition_by=Reading.stream_id, order_by=Reading.seq)
    numbered = select(Reading.stream_id, Reading.seq, (Reading.seq - row_number).label("run")).subquery()
    runs = connection.execute(
        select(numbered.c.stream_id, func.min(numbered.c.seq), func.max(numbered.c.seq)).group_by(
            numbered.c.stream_id, numbered.c.run
        )
    ).all()
    gaps = connection.execute(
        select(Span.stream_id, Span.first, Span.last, Span.cause).where(Span.cause.is_not(None))
    ).all()
    told = [(stream_id, first, last, "") for stream_id, first, last in runs]
    told += [(gap.stream_id, gap.first, gap.last, str(gap.cause)) for gap in gaps]
    spans = _explained(sorted(told))
    connection.execute(delete(Span))
    Bulk(connection).insert(Span, ("stream_id", "first", "last", "cause"), list(spans))


def _explained(spans: Sequence[tuple[int, int, int, str]]) -> list[tuple[int, int, int, str | None]]:
    """(stream id, first, last, cause) without holes, in order; the cause "" (stored) becomes None."""
    found: list[tuple[int, int, int, str | None]] = []
    for stream_id, first, last, told in spans:
        cause = told or None
        before = found[-1] if found and found[-1][0] == stream_id else (stream_id, 0, 0, "")
        if first > before[2] + 1:
            found.append((stream_id, before[2] + 1, first - 1, UNEXPLAINED))
        elif before[3] == cause and before[2]:
            found[-1] = (stream_id, before[1], max(last, before[2]), cause)
            continue
        found.append((stream_id, first, last, cause))
    return found


def _write_streams(connection: Connection) -> None:
    reached = select(func.coalesce(func.max(Span.last), 0)).where(Span.stream_id == Stream.id).scalar_subquery()
    archived = (
        select(func.coalesce(func.sum(BatchSpan.rows), 0)).where(BatchSpan.stream_id == Stream.id).scalar_subquery()
    )
    connection.execute(update(Stream).values(sampled=reached, position=reached, frozen=reached, archived=archived))
    connection.execute(update(Progress).values(commit=Progress.commit + 1))
