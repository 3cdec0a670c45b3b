"""The hot window: readings that are still in SQL, as the archive's columns. Reads only, but for delete()."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from .bulk import Bulk
from .models import BatchSpan, Reading
from .parquet import Readings, named

DAY = 86_400_000
# A row of `readings`, in the table's order.
Row = Sequence[Any]
# Asked once for each of thousands of streams: to build it anew each time would take longer than the database does.
OF_STREAM = (
    select(*Reading.__table__.columns)
    .where(Reading.stream_id == bindparam("stream"), Reading.seq > bindparam("after"), Reading.seq <= bindparam("last"))
    .order_by(Reading.seq)
    .limit(bindparam("limit"))
)


def day_of(t: int) -> str:
    """The UTC day of a Unix time in ms, as YYYY-MM-DD."""
    return datetime.fromtimestamp(t / 1000, UTC).date().isoformat()


def bounds(day: str) -> tuple[int, int]:
    """The day's first ms, and that of the next day."""
    start = (date.fromisoformat(day) - date(1970, 1, 1)) // timedelta(milliseconds=1)
    return start, start + DAY


def of_stream(connection: Connection, stream_id: int, after: int, last: int, limit: int) -> list[Row]:
    """The stream's readings with after < seq <= last, by seq, at most `limit`."""
    return list(connection.execute(OF_STREAM, {"stream": stream_id, "after": after, "last": last, "limit": limit}))


def of_batch(connection: Connection, batch_id: int, day: str) -> Readings:
    """The batch's readings that are in SQL."""
    since, until = bounds(day)
    found = connection.execute(
        select(*Reading.__table__.columns)
        .select_from(BatchSpan)
        .join(
            Reading, (Reading.stream_id == BatchSpan.stream_id) & Reading.seq.between(BatchSpan.first, BatchSpan.last)
        )
        .where(BatchSpan.batch_id == batch_id, Reading.t >= since, Reading.t < until)
    )
    return as_readings(connection, found.all())


def delete_batch(connection: Connection, batch_id: int, day: str) -> int:
    """Delete the batch's readings from SQL; how many there were."""
    since, until = bounds(day)
    spans = select(BatchSpan.stream_id, BatchSpan.first, BatchSpan.last).where(BatchSpan.batch_id == batch_id)
    return sum(
        connection.execute(
            delete(Reading).where(
                Reading.stream_id == stream_id, Reading.seq.between(first, last), Reading.t >= since, Reading.t < until
            )
        ).rowcount
        for stream_id, first, last in connection.execute(spans).all()
    )


def as_readings(connection: Connection, rows: Sequence[Row]) -> Readings:
    """Rows of `readings` with their names instead of ids."""
    streams, seqs, channels, times, tq, values, faults, received = zip(*rows, strict=True) if rows else ((),) * 8
    devices, stream_names = stream_texts(connection, set(streams))
    bulk = Bulk(connection)
    kinds = bulk.select("SELECT id, sensor, unit FROM channels WHERE id IN :keys", set(channels))
    return Readings.of_columns(
        {
            "device": named(streams, devices),
            "stream": named(streams, stream_names),
            "seq": seqs,
            "sensor": named(channels, {id: sensor for id, sensor, _ in kinds}),
            "unit": named(channels, {id: unit for id, _, unit in kinds}),
            "t": times,
            "tq": tq,
            "value": values,
            "fault": faults,
            "received": received,
        }
    )


def stream_texts(connection: Connection, ids: set[int]) -> tuple[dict[int, str], dict[int, str]]:
    """(stream id → device's name, stream id → stream) of these streams."""
    found = Bulk(connection).select(
        "SELECT s.id, d.name, s.stream FROM streams s JOIN devices d ON d.id = s.device_id WHERE s.id IN :keys", ids
    )
    return {id: device for id, device, _ in found}, {id: stream for id, _, stream in found}
