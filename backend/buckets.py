"""A channel's readings over time in buckets: of SQL's readings, of its rollups, or of the archive.

Times are Unix milliseconds UTC, values in the channel's SenML unit. Pure reads over a Connection of Database.read().
"""

import functools
import typing
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Connection, Select, bindparam, func, select

from . import calibration, history
from .database import AnyRow
from .models import Reading, Rollup
from .objects import ObjectStore
from .rollup import WIDTHS

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

    def bucket(self, correction: calibration.Correction) -> Bucket:
        low, high = self.low, self.high
        mean = self.total / self.values if self.values else None
        if correction.revision:
            low, mean, high = correction.apply(low), correction.apply(mean), correction.apply(high)
        return Bucket(self.first, self.last, low, mean, high, self.values, self.faults)


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
    correction = calibration.corrections(connection).get(channel_id, calibration.NONE)
    return [cut.sums[number].bucket(correction) for number in sorted(cut.sums)]


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
        for found, first, last, low, high, total, count, faults in self._sums(_of_readings(), since, until):
            self._add(int(found), _Sum(first, last, low, high, total or 0.0, count, faults))
        for row in history.cold(self._connection, self._channel_id, since, until, self._store):
            missing = row.value is None
            part = _Sum(row.t, row.t, row.value, row.value, row.value or 0.0, int(not missing), int(missing))
            self._add((row.t - self._start) // self._width, part)

    def _add_rollups(self, grain: int, since: int, until: int) -> None:
        rows = self._sums(_of_rollups(), since, until, grain=grain)
        # A sum of integers is a decimal in PostgreSQL.
        for found, first, last, low, high, total, count, faults in rows:
            self._add(int(found), _Sum(first, last, low, high, total, int(count), int(faults)))

    def _sums(self, asked: Select[*tuple[Any, ...]], since: int, until: int, **more: int) -> Sequence[AnyRow]:
        cut = {"channel": self._channel_id, "since": since, "until": until, "start": self._start, "width": self._width}
        return self._connection.execute(asked, cut | more).all()


# Statements are made once: to make one takes SQLAlchemy longer than the database takes to answer it.
@functools.cache
def _of_readings() -> Select[*tuple[Any, ...]]:
    number = _number(Reading.t.expression)
    return (
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
        .where(Reading.channel_id == _given("channel"), Reading.t >= _given("since"), Reading.t < _given("until"))
        .group_by(number)
    )


@functools.cache
def _of_rollups() -> Select[*tuple[Any, ...]]:
    number = _number(Rollup.start.expression)
    return (
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
        .where(Rollup.channel_id == _given("channel"), Rollup.width == _given("grain"))
        .where(Rollup.start >= _given("since"), Rollup.start < _given("until"))
        .group_by(number)
    )


def _number(t: ColumnElement[int]) -> ColumnElement[int]:
    """Of the bucket that t lies in."""
    # What divides without a remainder: MySQL would divide to a fraction, and round it.
    since = t - _given("start")
    return ((since - since % _given("width")) // _given("width")).label("number")


def _given(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)


def _grain(width: int) -> int | None:
    """The rollups that buckets of this width are made of; None: they are made of readings."""
    fine = [grain for grain in WIDTHS if grain * FINENESS <= width]
    if fine:
        return fine[-1]
    return WIDTHS[0] if width >= WIDTHS[0] else None
