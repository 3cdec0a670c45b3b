"""A channel's readings over time, one by one. One place that knows where they are: in SQL, or in the archive.

Times are Unix milliseconds UTC, values in the channel's SenML unit. Pure reads over a Connection of Database.read().
Readings leave SQL a batch at a time, so those of a batch are either all in SQL or all in its object, never in both.
"""

import dataclasses
import heapq
import itertools
from collections.abc import Iterator
from operator import attrgetter

from sqlalchemy import Connection, and_, or_, select, tuple_
from sqlalchemy.orm import aliased

from .hot_window import day_of
from .models import Batch, BatchSpan, Channel, Device, Reading, Span, Stream
from .objects import ObjectStore
from .parquet import decode

PAGE = 5_000


@dataclasses.dataclass(frozen=True)
class ReadingRow:
    """One reading as it was measured, before any calibration."""

    stream: str
    seq: int
    t: int
    tq: str
    value: float | None
    fault: str | None
    received: int


@dataclasses.dataclass(frozen=True)
class GapSpan:
    """Readings seq first to last of a stream that will never come. begin, end: times of the readings around them."""

    stream: str
    first: int
    last: int
    cause: str
    begin: int | None
    end: int | None


def gap_spans(connection: Connection, channel_id: int, since: int, until: int) -> list[GapSpan]:
    """Gaps of the channel's device that lie, or may lie, between these times, by their time.

    A gap has no time of its own: it lies between the readings before and after it, whose times are given where SQL
    still has them.
    """
    before, after = aliased(Reading), aliased(Reading)
    rows = connection.execute(
        select(Stream.stream, Span.first, Span.last, Span.cause, before.t, after.t)
        .select_from(Channel)
        .join(Stream, Stream.device_id == Channel.device_id)
        .join(Span, Span.stream_id == Stream.id)
        .join(before, and_(before.stream_id == Stream.id, before.seq == Span.first - 1), isouter=True)
        .join(after, and_(after.stream_id == Stream.id, after.seq == Span.last + 1), isouter=True)
        .where(Channel.id == channel_id, Span.cause.is_not(None))
        .where(or_(before.t.is_(None), before.t < until), or_(after.t.is_(None), after.t >= since))
    )
    found = [GapSpan(stream, first, last, str(cause), begin, end) for stream, first, last, cause, begin, end in rows]
    return sorted(found, key=lambda gap: (gap.begin or gap.end or 0, gap.stream, gap.first))


def readings(
    connection: Connection, channel_id: int, since: int, until: int, store: ObjectStore | None = None
) -> Iterator[ReadingRow]:
    """Every reading of since <= t < until, by time, as it was measured; those that have left SQL from `store`.

    For exports: holds a page of rows, and the channel's rows of one day, in memory. Raises ObjectStoreUnavailable.
    """
    hot = _pages(connection, channel_id, since, until)
    return heapq.merge(hot, cold(connection, channel_id, since, until, store), key=attrgetter("t"))


def _pages(connection: Connection, channel_id: int, since: int, until: int) -> Iterator[ReadingRow]:
    position = (Reading.t, Reading.stream_id, Reading.seq)
    last: tuple[int, int, int] = (since - 1, 0, 0)
    while True:
        rows = connection.execute(
            select(
                Reading.stream_id,
                Stream.stream,
                Reading.seq,
                Reading.t,
                Reading.tq,
                Reading.value,
                Reading.fault,
                Reading.received,
            )
            .join(Stream, Stream.id == Reading.stream_id)
            .where(Reading.channel_id == channel_id, Reading.t >= max(since, last[0]), Reading.t < until)
            .where(tuple_(*position) > tuple_(*last))
            .order_by(*position)
            .limit(PAGE)
        ).all()
        yield from (ReadingRow(*row[1:]) for row in rows)
        if len(rows) < PAGE:
            return
        end = rows[-1]
        last = (end[3], end[0], end[2])


def cold(
    connection: Connection, channel_id: int, since: int, until: int, store: ObjectStore | None
) -> Iterator[ReadingRow]:
    """The channel's readings that have left SQL, by time."""
    if store is None:
        return
    channel = connection.execute(
        select(Device.id, Device.name, Channel.sensor, Channel.unit)
        .join(Device, Device.id == Channel.device_id)
        .where(Channel.id == channel_id)
    ).one()
    of_device = (
        select(BatchSpan.batch_id).join(Stream, Stream.id == BatchSpan.stream_id).where(Stream.device_id == channel.id)
    )
    batches = connection.execute(
        select(Batch.day, Batch.key)
        .where(Batch.dropped_at.is_not(None), Batch.day >= day_of(since), Batch.day <= day_of(until - 1))
        .where(Batch.id.in_(of_device))
        .order_by(Batch.day)
    ).all()
    for _, of_day in itertools.groupby(batches, key=attrgetter("day")):
        rows = [row for batch in of_day for row in decode(store.get(batch.key))[0].of_device(channel.name).rows()]
        yield from sorted(
            (
                ReadingRow(row.stream, row.seq, row.t, row.tq, row.value, row.fault, row.received)
                for row in rows
                if (row.sensor, row.unit) == (channel.sensor, channel.unit) and since <= row.t < until
            ),
            key=attrgetter("t"),
        )
