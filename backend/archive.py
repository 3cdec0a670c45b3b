"""The archive: committed readings become Parquet objects on S3, each exactly once.

A batch is frozen first: one transaction fixes its rows, its bytes and its key in SQL. Only then is it uploaded.
The key is made of the bytes' SHA-256, so a retry after any failure writes the same bytes to the same key.
Readings leave SQL when they are older than the hot window, and only after S3 has shown that it holds them.
"""

import contextlib
import logging
import random
import threading
import time

from sqlalchemy import bindparam, func, insert, select, update

from . import failpoints, freezing, partitions
from .bulk import Bulk
from .database import Database, insert_one
from .errors import NotFound, ObjectStoreUnavailable, Unavailable
from .freezing import now
from .hot_end import HotEnd
from .lease import Lease
from .models import Batch, BatchSpan, Progress, Stream
from .objects import ObjectStore

log = logging.getLogger(__name__)

LONGEST_RETRY = 30.0
POLL = 1.0
DROP_EVERY = 600.0

MOVE_FROZEN = update(Stream).where(Stream.id == bindparam("moved")).values(frozen=bindparam("reached"))
COUNT_ARCHIVED = (
    update(Stream).where(Stream.id == bindparam("moved")).values(archived=Stream.archived + bindparam("more"))
)


class Archive:
    def __init__(self, database: Database, store: ObjectStore, rows: int, age: float, hot_days: int = 0) -> None:
        """rows: readings that fill a batch. age: seconds after which a smaller one is written all the same.

        hot_days: readings older than so many days leave SQL once they are proven to be in S3; 0: none does.
        """
        self._database = database
        self._store = store
        self._rows = rows
        self._age = age
        self._end = HotEnd(database, store, hot_days)
        self._lease = Lease(database, "archive")
        self._flushed = time.monotonic()
        self._dropped = -DROP_EVERY

    def run(self, stop: threading.Event) -> None:
        """Archive until stop is set, while no other archiver does; what is down is tried again."""
        delay = 0.0
        working: bool | None = None
        while not stop.wait(delay):
            try:
                if working != (working := self._lease.hold()):
                    log.info("this is the archiver now" if working else "another archiver works; waiting for its lease")
                if working:
                    failpoints.reach("archive.leased")
                    self._pass()
                delay = POLL
            except Unavailable as error:
                delay = min(max(delay, POLL) * 2, LONGEST_RETRY) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
                log.warning("%s Trying again in %.1f s.", error, delay)
        with contextlib.suppress(Unavailable):
            self._lease.release()

    def drop(self) -> int:
        """Let readings that are older than the hot window leave SQL (hot_end.py); of how many batches."""
        return self._end.drop(now())

    def waiting(self) -> int:
        """Readings (and gaps) that are in no batch yet."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.sum(Stream.position - Stream.frozen))).scalar() or 0)

    def freeze(self) -> int:
        """Fix the next readings in batches, one a day of event time; how many seq are settled by it, gaps included.

        Raises DatabaseUnavailable.
        """
        with self._database.read() as connection:
            taken = freezing.take(connection, self._rows)
            if not taken:
                return 0
            failpoints.reach("archive.taken")
            gaps = freezing.gaps_of(connection, taken)
            batches = freezing.batches(connection, taken, gaps)
        failpoints.reach("archive.encoded")
        with self._database.write() as connection:
            frozen = Bulk(connection).select(
                "SELECT id, frozen FROM streams WHERE id IN :keys ORDER BY id FOR UPDATE", [each.id for each in taken]
            )
            if dict(map(tuple, frozen)) != {stream.id: stream.frozen for stream in taken}:
                # Another archiver froze these readings meanwhile: its batch stands, this one must not.
                return 0
            connection.execute(MOVE_FROZEN, [{"moved": each.id, "reached": each.reached} for each in taken])
            failpoints.reach("archive.moved")
            for each in batches:
                batch_id = insert_one(connection, Batch, each.batch)
                if each.spans:
                    connection.execute(insert(BatchSpan), [{"batch_id": batch_id, **span} for span in each.spans])
            failpoints.reach("archive.batched")
        failpoints.reach("archive.frozen")
        return sum(stream.reached - stream.frozen for stream in taken)

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
            self._store.put(batch.key, batch.body)
            failpoints.reach("archive.put")
            self._check_size(batch.key, len(batch.body))
            failpoints.reach("archive.compared")
            self._mark(batch.id)
            failpoints.reach("archive.archived")
            log.info("archived %d readings as %s", batch.rows, batch.key)
            done += 1

    def _pass(self) -> None:
        self.upload()
        due = time.monotonic() - self._flushed >= self._age
        if due or self.waiting() >= self._rows:
            self._flushed = time.monotonic()
            while self._lease.hold() and self.freeze():
                self.upload()
                if self.waiting() < self._rows:
                    break
        if time.monotonic() - self._dropped >= DROP_EVERY:
            self._dropped = time.monotonic()
            self.drop()
            partitions.keep(self._database, now())

    def _check_size(self, key: str, wanted: int) -> None:
        try:
            size = self._store.size(key)
        except NotFound:
            size = 0
        if size != wanted:
            raise ObjectStoreUnavailable(f"S3 took {key}, but holds {size} of its {wanted} bytes.")

    def _mark(self, batch_id: int) -> None:
        with self._database.write() as connection:
            marked = connection.execute(
                update(Batch)
                .where(Batch.id == batch_id, Batch.uploaded_at.is_(None))
                .values(uploaded_at=now(), body=None)
            )
            if marked.rowcount != 1:
                return
            failpoints.reach("archive.marked")
            spans = connection.execute(
                select(BatchSpan.stream_id, BatchSpan.rows)
                .where(BatchSpan.batch_id == batch_id)
                .order_by(BatchSpan.stream_id)
            ).all()
            if spans:
                connection.execute(COUNT_ARCHIVED, [{"moved": stream_id, "more": rows} for stream_id, rows in spans])
            failpoints.reach("archive.counted")
            # Open pages watch this number.
            connection.execute(update(Progress).values(commit=Progress.commit + 1))
