"""The end of the hot window: old readings leave SQL, after S3 has shown that it holds them.

Each object is read back from S3 first, and its rows compared with those in SQL. What is not equal stays. Where a month
is a table of its own (partitions.py), it goes as one when all of it has been proven; else a batch at a time.
"""

import hashlib
import logging
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, select, update

from . import failpoints, hot_window, partitions
from .database import AnyRow, Database
from .errors import DatabaseUnavailable, MissingOrForbidden, NotFound, VerificationFailed
from .freezing import now
from .hot_window import DAY, day_of
from .models import Batch
from .objects import ObjectStore
from .parquet import decode
from .partitions import Month

log = logging.getLogger(__name__)


class HotEnd:
    def __init__(self, database: Database, store: ObjectStore, hot_days: int) -> None:
        """hot_days: readings of the last so many days stay; 0: all do."""
        self._database = database
        self._store = store
        self._hot_days = hot_days
        # Batches that could not be proven: named once, and left alone until the next start.
        self._kept: set[int] = set()
        # And those that may not be read: asked for again the next time.
        self._unread: dict[int, MissingOrForbidden] = {}

    def drop(self, at: int) -> int:
        """Let go what is older than the hot window at this time (Unix ms UTC); how many batches.

        Raises DatabaseUnavailable, ObjectStoreUnavailable.
        """
        if not self._hot_days:
            return 0
        before = day_of(at - self._hot_days * DAY)
        self._unread.clear()
        with self._database.read() as connection:
            months = partitions.months(connection)
        done = 0
        for month in [month for month in months if month.after().first_day <= before]:
            try:
                done += self._drop_month(month)
            except DatabaseUnavailable as error:
                # Somebody reads. All of it was proven: not a row at a time, but whole, the next time.
                log.info("%s The table of %s goes later.", error.message, month.first_day[:7])
                return done
        current = Month.of_day(before)
        if current in months:
            # It goes as a whole when its last day is old enough.
            before = current.first_day
        while batch := self._next(before):
            if self._is_proven(batch):
                done += self._drop_batch(batch)
        if self._unread:
            first = next(iter(self._unread.values()))
            log.error("%s Readings of %d such objects stay in SQL. %s", first.message, len(self._unread), first.advice)
        return done

    def _next(self, before: str) -> AnyRow | None:
        with self._database.read() as connection:
            left = self._kept | self._unread.keys()
            asked = _held(Batch.day < before).where(Batch.uploaded_at.is_not(None), Batch.id.not_in(left))
            return connection.execute(asked.limit(1)).first()

    def _drop_month(self, month: Month) -> int:
        with self._database.read() as connection:
            batches = connection.execute(_held(_within(month))).all()
        if any(batch.uploaded_at is None or batch.id in self._kept for batch in batches):
            return 0
        if not all([self._is_proven(batch) for batch in batches]):
            return 0
        with self._database.write() as connection:
            dropped = self._drop_table(connection, month, batches)
        if not dropped:
            return 0
        failpoints.reach("archive.dropped")
        log.info("%s left SQL as one, %d batches: S3 was shown to hold them", month.table, len(batches))
        return len(batches)

    def _drop_table(self, connection: Connection, month: Month, proven: Sequence[AnyRow]) -> bool:
        """Drop it, if it holds what was proven, and nothing else."""
        held = connection.execute(_held(_within(month)).with_for_update()).all()
        if {batch.id for batch in held} != {batch.id for batch in proven}:
            # A late reading came, or compaction joined a day: the next time finds them.
            return False
        failpoints.reach("archive.dropping")
        if not partitions.drop(connection, month, sum(batch.rows for batch in held)):
            return False
        if held:
            connection.execute(update(Batch).where(_within(month), Batch.dropped_at.is_(None)).values(dropped_at=now()))
        failpoints.reach("archive.deleted")
        return True

    def _is_proven(self, batch: AnyRow) -> bool:
        try:
            self._check_object(batch)
        except (NotFound, VerificationFailed) as error:
            self._keep(batch, error)
            return False
        except MissingOrForbidden as error:
            self._unread[batch.id] = error
            return False
        failpoints.reach("archive.proven")
        return True

    def _keep(self, batch: AnyRow, error: NotFound | VerificationFailed) -> None:
        self._kept.add(batch.id)
        log.error("%s Its readings stay in SQL. `python -m tools verify` says more.", error.message)

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

    def _drop_batch(self, batch: AnyRow) -> int:
        """Delete the rows of a batch that was proven; 0 when another archiver did."""
        try:
            with self._database.write() as connection:
                marked = connection.execute(
                    update(Batch).where(Batch.id == batch.id, Batch.dropped_at.is_(None)).values(dropped_at=now())
                )
                if marked.rowcount != 1:
                    return 0
                failpoints.reach("archive.dropping")
                deleted = hot_window.delete_batch(connection, batch.id, batch.day)
                failpoints.reach("archive.deleted")
                if deleted != batch.rows:
                    raise VerificationFailed(f"{batch.key} has {batch.rows} readings, but {deleted} would leave SQL.")
        except VerificationFailed as error:
            self._keep(batch, error)
            return 0
        failpoints.reach("archive.dropped")
        log.info("%d readings of %s left SQL: S3 was shown to hold them", batch.rows, batch.key)
        return 1


def _held(days: ColumnElement[bool]) -> Select[int, str, str, str, int, int | None]:
    """The batches of these days whose rows are in SQL, oldest first."""
    return (
        select(Batch.id, Batch.key, Batch.day, Batch.sha256, Batch.rows, Batch.uploaded_at)
        .where(days, Batch.dropped_at.is_(None))
        .order_by(Batch.day, Batch.id)
    )


def _within(month: Month) -> ColumnElement[bool]:
    return and_(Batch.day >= month.first_day, Batch.day < month.after().first_day)
