"""The archive: committed readings become Parquet objects on S3, each exactly once.

A batch is frozen first: one transaction fixes its rows, its bytes and its key in SQL. Only then is it uploaded.
The key is made of the bytes' SHA-256, so a retry after any failure writes the same bytes to the same key.
"""

import hashlib
import itertools
import logging
import random
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update

from .database import AnyRow, Database
from .errors import NotFound, ObjectStoreUnavailable, Unavailable
from .models import Batch, BatchSpan, Channel, Device, Progress, Reading, Stream
from .objects import ObjectStore
from .parquet import ArchivedReading, encode

log = logging.getLogger(__name__)

LONGEST_RETRY = 30.0
POLL = 1.0

READINGS = (
    select(
        Device.name,
        Stream.stream,
        Reading.seq,
        Channel.sensor,
        Channel.unit,
        Reading.t.label("event_time"),
        Reading.tq,
        Reading.value,
        Reading.fault,
        Reading.received,
        Reading.stream_id,
    )
    .join(Stream, Stream.id == Reading.stream_id)
    .join(Channel, Channel.id == Reading.channel_id)
    .join(Device, Device.id == Stream.device_id)
)


class Archive:
    def __init__(self, database: Database, store: ObjectStore, rows: int, age: float) -> None:
        """rows: readings that fill a batch. age: seconds after which a smaller one is written all the same."""
        self._database = database
        self._store = store
        self._rows = rows
        self._age = age

    def run(self, stop: threading.Event) -> None:
        """Freeze and upload until stop is set; what is down is tried again."""
        flushed = time.monotonic()
        delay = POLL
        while not stop.wait(delay):
            try:
                self.upload()
                due = time.monotonic() - flushed >= self._age
                if due or self.waiting() >= self._rows:
                    flushed = time.monotonic()
                    while self.freeze():
                        self.upload()
                        if self.waiting() < self._rows:
                            break
                delay = POLL
            except Unavailable as error:
                delay = min(delay * 2, LONGEST_RETRY) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret
                log.warning("%s Trying again in %.1f s.", error.message, delay)

    def waiting(self) -> int:
        """Readings (and gaps) that are in no batch yet."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.sum(Stream.position - Stream.frozen))).scalar() or 0)

    def freeze(self) -> int:
        """Fix the next readings in batches, one a day of event time; how many readings.

        Raises DatabaseUnavailable.
        """
        with self._database.read() as connection:
            streams = _behind(connection)
            rows = connection.execute(
                READINGS.where(Reading.stream_id.in_(list(streams)))
                .where(and_(Reading.seq > Stream.frozen, Reading.seq <= Stream.position))
                .order_by(Reading.stream_id, Reading.seq)
                .limit(self._rows)
            ).all()
        if not streams:
            return 0
        reached = _reached(streams, rows, whole=len(rows) < self._rows)
        batches = _batches(rows)
        with self._database.write() as connection:
            for stream_id, seq in reached.items():
                moved = connection.execute(
                    update(Stream)
                    .where(Stream.id == stream_id, Stream.frozen == streams[stream_id][0])
                    .values(frozen=seq)
                )
                if moved.rowcount != 1:
                    # Another archiver froze these readings meanwhile: its batch stands, this one must not.
                    connection.rollback()
                    return 0
            for batch, spans in batches:
                batch_id = connection.scalar(insert(Batch).values(batch).returning(Batch.id))
                connection.execute(insert(BatchSpan), [{"batch_id": batch_id, **span} for span in spans])
        return len(rows)

    def upload(self) -> int:
        """Upload every frozen batch, oldest first; how many.

        Raises DatabaseUnavailable, ObjectStoreUnavailable: what is done by then is done.
        """
        done = 0
        while True:
            with self._database.read() as connection:
                batch = connection.execute(
                    select(Batch.id, Batch.key, Batch.body, Batch.sha256, Batch.rows)
                    .where(Batch.uploaded_at.is_(None))
                    .order_by(Batch.id)
                    .limit(1)
                ).first()
            if batch is None:
                return done
            self._put(batch.key, batch.body)
            self._mark(batch.id)
            log.info("archived %d readings as %s", batch.rows, batch.key)
            done += 1

    def _put(self, key: str, body: bytes) -> None:
        self._store.put(key, body)
        try:
            size = self._store.size(key)
        except NotFound:
            size = -1
        if size != len(body):
            raise ObjectStoreUnavailable(f"S3 took {key}, but holds {max(size, 0)} of its {len(body)} bytes.")

    def _mark(self, batch_id: int) -> None:
        with self._database.write() as connection:
            marked = connection.execute(
                update(Batch)
                .where(Batch.id == batch_id, Batch.uploaded_at.is_(None))
                .values(uploaded_at=_now(), body=None)
            )
            if marked.rowcount != 1:
                return
            for stream_id, rows in connection.execute(
                select(BatchSpan.stream_id, BatchSpan.rows)
                .where(BatchSpan.batch_id == batch_id)
                .order_by(BatchSpan.stream_id)
            ).all():
                connection.execute(update(Stream).where(Stream.id == stream_id).values(archived=Stream.archived + rows))
            # Open pages watch this number.
            connection.execute(update(Progress).values(commit=Progress.commit + 1))


def day_of(t: int) -> str:
    """The UTC day of a Unix time in ms, as YYYY-MM-DD."""
    return datetime.fromtimestamp(t / 1000, UTC).date().isoformat()


def archived_reading(row: AnyRow) -> ArchivedReading:
    """A row of READINGS as a row of the archive."""
    return ArchivedReading(*row[:-1])


def _behind(connection: Connection) -> dict[int, tuple[int, int]]:
    """stream id → (frozen, position) of the streams that have something to freeze."""
    found = connection.execute(select(Stream.id, Stream.frozen, Stream.position).where(Stream.position > Stream.frozen))
    return {id: (frozen, position) for id, frozen, position in found}


def _reached(streams: dict[int, tuple[int, int]], rows: Sequence[AnyRow], whole: bool) -> dict[int, int]:
    """stream id → up to where it is frozen by these rows. whole: the rows are all there were."""
    if whole:
        return {id: position for id, (_, position) in streams.items()}
    # The limit cut the last stream short; those before it are complete, those after it were not read.
    reached = {row.stream_id: streams[row.stream_id][1] for row in rows}
    last = rows[-1]
    reached[last.stream_id] = last.seq
    return reached


def _batches(rows: Iterable[AnyRow]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """(values of the batch, values of its spans) for each UTC day among the rows."""
    frozen_at = _now()
    days: dict[str, list[AnyRow]] = {}
    for row in rows:
        days.setdefault(day_of(row.event_time), []).append(row)
    batches = []
    for day, of_day in sorted(days.items()):
        body = encode(map(archived_reading, of_day))
        sha256 = hashlib.sha256(body).hexdigest()
        batch = {
            "day": day,
            "key": f"day={day}/{sha256[:32]}.parquet",
            "sha256": sha256,
            "size": len(body),
            "rows": len(of_day),
            "frozen_at": frozen_at,
            "body": body,
        }
        spans = []
        for stream_id, group in itertools.groupby(of_day, key=lambda row: row.stream_id):
            seqs = [row.seq for row in group]
            spans.append({"stream_id": stream_id, "first": seqs[0], "last": seqs[-1], "rows": len(seqs)})
        batches.append((batch, spans))
    return batches


def _now() -> int:
    return time.time_ns() // 1_000_000
