"""A channel's readings over time. One place that knows where they are: SQL's readings, its rollups, or the archive.

Times are Unix milliseconds UTC, values in the channel's SenML unit. Pure reads over a Connection of Database.read().
Readings leave SQL a batch at a time, so those of a batch are either all in SQL or all in its object, never in both.
"""

import dataclasses
import heapq
import itertools
import typing
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from . import calibration
from .hot_window import day_of
from .models import Batch, BatchSpan, Channel, Device, Reading, Rollup, Span, Stream
from .objects import ObjectStore
from .parquet import decode
from .rollup import WIDTHS

PAGE = 5_000
# A bucket of the answer is at least so many of the rollups it is made of, where there are narrower ones.
FINENESS = 4


class Bucket(typing.NamedTuple):
    """The readings from `first` to `last` (their own times). min, mean, max are None when all of them are faults."""

    first: int
    last: int
    min: float | None
    mean: float | None
    max: float | None
    values: int
    faults: int


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


class _Sum(typing.NamedTuple):
    """What a bucket is made of so far: as models.Rollup has it (values is its count)."""

    first: int
    last: int
    low: float | None
    high: float | None
    total: float
    values: int
    faults: int

    def plus(self, other: "_Sum") -> "_Sum":
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return _Sum(
            min(self.first, other.first),
            max(self.last, other.last),
            min(lows, default=None),
            max(highs, default=None),
            self.total + other.total,
            self.values + other.values,
            self.faults + other.faults,
        )

    def bucket(self, correct: Callable[[float | None], float | None]) -> Bucket:
        mean = self.total / self.values if self.values else None
        return Bucket(
            self.first, self.last, correct(self.low), correct(mean), correct(self.high), self.values, self.faults
        )


def series(
    connection: Connection, channel_id: int, since: int, until: int, buckets: int, store: ObjectStore | None = None
) -> list[Bucket]:
    """Readings of since <= t < until in at most `buckets` buckets of equal width; empty ones are left out.

    Where rollups serve, buckets lie on their grid. Minimum and maximum keep a spike of one reading visible however
    wide a bucket is. Values are corrected by the channel's calibration, which is linear: it may be applied after the
    mean is taken. store: where the readings are that have left SQL; without it those that no rollup holds whole are
    left out. Raises ObjectStoreUnavailable.
    """
    width = bucket_width(since, until, buckets)
    grain = _grain(width)
    cut = _Cut(connection, channel_id, since if grain is None else since // grain * grain, width, store)
    cut.add(since, until, [finer for finer in reversed(WIDTHS) if grain is not None and finer <= grain])
    correct = calibration.corrections(connection).get(channel_id, calibration.NONE).apply
    return [cut.sums[number].bucket(correct) for number in sorted(cut.sums)]


def bucket_width(since: int, until: int, buckets: int) -> int:
    """Milliseconds of one bucket: the range is never cut into more than `buckets`.

    From five minutes on it is a whole number of rollups.
    """
    width = max(1, -(-(until - since) // buckets))
    grain = _grain(width)
    if grain is None:
        return width
    # On the grid of the rollups the range begins earlier and ends later.
    span = -(-until // grain) * grain - since // grain * grain
    return -(-span // (buckets * grain)) * grain


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
    cold = _cold(connection, channel_id, since, until, store)
    return heapq.merge(hot, cold, key=attrgetter("t"))


class _Cut:
    """A range that is being cut into buckets: number of a bucket → what it is made of."""

    def __init__(
        self, connection: Connection, channel_id: int, start: int, width: int, store: ObjectStore | None
    ) -> None:
        self._connection = connection
        self._channel_id = channel_id
        self._start = start
        self._width = width
        self._store = store
        self.sums: dict[int, _Sum] = {}

    def add(self, since: int, until: int, grains: Sequence[int]) -> None:
        """Add the readings of since <= t < until: rollups of these widths (widest first), and readings at the edges."""
        if since >= until:
            return
        if not grains:
            self._add_readings(since, until)
            return
        grain, *finer = grains
        first, end = -(-since // grain) * grain, until // grain * grain
        if first >= end:
            self.add(since, until, finer)
            return
        self.add(since, first, finer)
        self._add_rollups(grain, first, end)
        self.add(end, until, finer)

    def _add(self, number: int, part: _Sum) -> None:
        self.sums[number] = self.sums[number].plus(part) if number in self.sums else part

    def _add_readings(self, since: int, until: int) -> None:
        number = self._number(Reading.t.expression)
        rows = self._connection.execute(
            select(
                number,
                func.min(Reading.t),
                func.max(Reading.t),
                func.min(Reading.value),
                func.max(Reading.value),
                func.sum(Reading.value),
                func.count(Reading.value),
                func.count(Reading.fault),
            )
            .where(Reading.channel_id == self._channel_id, Reading.t >= since, Reading.t < until)
            .group_by(number)
        ).all()
        for found, first, last, low, high, total, count, faults in rows:
            self._add(int(found), _Sum(first, last, low, high, total or 0.0, count, faults))
        for row in _cold(self._connection, self._channel_id, since, until, self._store):
            missing = row.value is None
            part = _Sum(row.t, row.t, row.value, row.value, row.value or 0.0, int(not missing), int(missing))
            self._add((row.t - self._start) // self._width, part)

    def _add_rollups(self, grain: int, since: int, until: int) -> None:
        number = self._number(Rollup.start.expression)
        rows = self._connection.execute(
            select(
                number,
                func.min(Rollup.first),
                func.max(Rollup.last),
                func.min(Rollup.low),
                func.max(Rollup.high),
                func.sum(Rollup.total),
                func.sum(Rollup.count),
                func.sum(Rollup.faults),
            )
            .where(Rollup.channel_id == self._channel_id, Rollup.width == grain)
            .where(Rollup.start >= since, Rollup.start < until)
            .group_by(number)
        ).all()
        # A sum of integers is a decimal in PostgreSQL.
        for found, first, last, low, high, total, count, faults in rows:
            self._add(int(found), _Sum(first, last, low, high, total, int(count), int(faults)))

    def _number(self, t: ColumnElement[int]) -> ColumnElement[int]:
        # What divides without a remainder: MySQL would divide to a fraction, and round it.
        since = t - self._start
        return ((since - since % self._width) // self._width).label("number")


def _grain(width: int) -> int | None:
    """The rollups that buckets of this width are made of; None: they are made of readings."""
    fine = [grain for grain in WIDTHS if grain * FINENESS <= width]
    if fine:
        return fine[-1]
    return WIDTHS[0] if width >= WIDTHS[0] else None


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


def _cold(
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
