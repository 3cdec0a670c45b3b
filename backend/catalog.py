"""Which objects SQL knows of a day, and how it follows when the archive joins them into one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from . import failpoints, hot_window
from .database import AnyRow, Database, insert_one
from .errors import VerificationFailed
from .freezing import now
from .models import Batch, BatchSpan
from .parquet import Readings, union


@dataclass(frozen=True)
class Whole:
    """The one object that holds a whole day, as it was read back from S3."""

    day: str
    key: str
    size: int
    sha256: str
    readings: Readings


class Catalog:
    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, day: str) -> set[str] | None:
        """The objects of the day that SQL knows; None: one of its batches is not uploaded yet.

        Raises DatabaseUnavailable.
        """
        with self._database.read() as connection:
            held = connection.execute(select(Batch.key, Batch.uploaded_at).where(Batch.day == day)).all()
        return None if any(batch.uploaded_at is None for batch in held) else {batch.key for batch in held}

    def replace(self, whole: Whole, known: set[str]) -> bool:
        """Let the whole take the place of the day's batches; False when these are not (any more) the `known` ones.

        One transaction. Where some of the day's readings have left SQL, the others leave it too, as the whole has them.
        Raises DatabaseUnavailable, VerificationFailed.
        """
        with self._database.write() as connection:
            held = connection.execute(
                select(Batch.id, Batch.key, Batch.day, Batch.rows, Batch.frozen_at, Batch.uploaded_at, Batch.dropped_at)
                .where(Batch.day == whole.day)
                .order_by(Batch.id)
                .with_for_update()
            ).all()
            if {batch.key for batch in held} != known or any(batch.uploaded_at is None for batch in held):
                return False
            if known == {whole.key}:
                return True
            self._check_count(whole, held)
            dropped = None
            if any(batch.dropped_at is not None for batch in held):
                dropped = now()
                self._drop_rest(connection, whole, held)
            _rewrite(connection, whole, held, dropped)
            failpoints.reach("compact.replacing")
        failpoints.reach("compact.replaced")
        return True

    def _check_count(self, whole: Whole, held: Sequence[AnyRow]) -> None:
        rows = sum(batch.rows for batch in held)
        if rows != len(whole.readings):
            raise VerificationFailed(
                f"SQL counts {rows:,} archived readings of {whole.day}, their objects hold {len(whole.readings):,}.",
                "`python -m tools verify` says which.",
            )

    def _drop_rest(self, connection: Connection, whole: Whole, held: Sequence[AnyRow]) -> None:
        for batch in held:
            if batch.dropped_at is None:
                in_sql = hot_window.of_batch(connection, batch.id, batch.day)
                try:
                    equal = len(in_sql) == batch.rows and union([whole.readings, in_sql]) == whole.readings
                except ValueError:
                    equal = False
                if not equal:
                    raise VerificationFailed(f"{whole.key} does not hold the same readings as SQL.")
                hot_window.delete_batch(connection, batch.id, batch.day)


def _rewrite(connection: Connection, whole: Whole, held: Sequence[AnyRow], dropped: int | None) -> None:
    ids = [batch.id for batch in held]
    spans = connection.execute(
        select(
            BatchSpan.stream_id,
            func.min(BatchSpan.first).label("first"),
            func.max(BatchSpan.last).label("last"),
            func.sum(BatchSpan.rows).label("rows"),
        )
        .where(BatchSpan.batch_id.in_(ids))
        .group_by(BatchSpan.stream_id)
        .order_by(BatchSpan.stream_id)
    ).all()
    connection.execute(delete(BatchSpan).where(BatchSpan.batch_id.in_(ids)))
    connection.execute(delete(Batch).where(Batch.id.in_(ids)))
    batch = {
        "day": whole.day,
        "key": whole.key,
        "sha256": whole.sha256,
        "size": whole.size,
        "rows": len(whole.readings),
        "frozen_at": min(batch.frozen_at for batch in held),
        "uploaded_at": max(batch.uploaded_at for batch in held),
        "dropped_at": dropped,
    }
    batch_id = insert_one(connection, Batch, batch)
    if spans:
        connection.execute(
            insert(BatchSpan),
            # A sum of integers is a decimal in PostgreSQL.
            [{"batch_id": batch_id, **span._mapping, "rows": int(span.rows)} for span in spans],
        )
