"""The archive: committed readings become Parquet objects on S3, each exactly once.

A batch is frozen first: one transaction fixes its rows, its bytes and its key in SQL. Only then is it uploaded.
The key is made of the bytes' SHA-256, so a retry after any failure writes the same bytes to the same key.
Readings leave SQL when they are older than the hot window, and only after S3 has shown that it holds them.
"""

import contextlib
import hashlib
import logging
import random
import threading
import time

from sqlalchemy import bindparam, func, insert, select, update

from . import failpoints, freezing, hot_window
from .bulk import Bulk
from .database import AnyRow, Database
from .errors import NotFound, ObjectStoreUnavailable, Unavailable, VerificationFailed
from .freezing import now
from .hot_window import DAY, day_of
from .lease import Lease
from .models import Batch, BatchSpan, Progress, Stream
from .objects import ObjectStore
from .parquet import decode

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
        self._hot_days = hot_days
        self._lease = Lease(database, "archive")
        self._flushed = time.monotonic()
        self._dropped = -DROP_EVERY
        self._kept: set[int] = set()

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
                batch_id = connection.scalar(insert(Batch).values(each.batch).returning(Batch.id))
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

    def drop(self) -> int:
        """Let readings that are older than the hot window leave SQL, batch by batch; how many batches.

        Each object is read back from S3 first, and its rows compared with those in SQL. What is not equal stays.
        Raises DatabaseUnavailable, ObjectStoreUnavailable.
        """
        if not self._hot_days:
            return 0
        before = day_of(now() - self._hot_days * DAY)
        done = 0
        while batch := self._next_to_drop(before):
            try:
                self._check_object(batch)
                failpoints.reach("archive.proven")
                self._drop_rows(batch)
                failpoints.reach("archive.dropped")
                done += 1
            except (NotFound, VerificationFailed) as error:
                self._kept.add(batch.id)
                log.error("%s Its readings stay in SQL. `python -m tools verify` says more.", error.message)
        return done

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

    def _next_to_drop(self, before: str) -> AnyRow | None:
        with self._database.read() as connection:
            return connection.execute(
                select(Batch.id, Batch.key, Batch.day, Batch.sha256, Batch.rows)
                .where(Batch.day < before, Batch.uploaded_at.is_not(None), Batch.dropped_at.is_(None))
                .where(Batch.id.not_in(self._kept))
                .order_by(Batch.day, Batch.id)
                .limit(1)
            ).first()

    def _check_object(self, batch: AnyRow) -> None:
        body = self._store.get(batch.key)
        if hashlib.sha256(body).hexdigest() != batch.sha256:
            raise VerificationFailed(f"{batch.key} is not what was uploaded: its SHA-256 differs.")
        try:
            readings, _ = decode(body)
        except ValueError as error:
            raise VerificationFailed(f"{batch.key}: {error}.") from error
        with self._database.read() as connection:
            held = hot_window.of_batch(connection, batch.id, batch.day)
        if readings != held:
            raise VerificationFailed(f"{batch.key} does not hold the same readings as SQL.")

    def _drop_rows(self, batch: AnyRow) -> None:
        with self._database.write() as connection:
            marked = connection.execute(
                update(Batch).where(Batch.id == batch.id, Batch.dropped_at.is_(None)).values(dropped_at=now())
            )
            if marked.rowcount != 1:
                return
            failpoints.reach("archive.dropping")
            deleted = hot_window.delete_batch(connection, batch.id, batch.day)
            failpoints.reach("archive.deleted")
            if deleted != batch.rows:
                raise VerificationFailed(f"{batch.key} has {batch.rows} readings, but {deleted} would leave SQL.")
        log.info("%d readings of %s left SQL: S3 was shown to hold them", batch.rows, batch.key)
