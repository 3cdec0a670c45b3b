"""What pages and the API read: pure reads over a Connection of Database.read(), the same on SQLite and PostgreSQL.

Times are Unix milliseconds UTC, values in the channel's SenML unit.
"""

import dataclasses
import functools
import itertools
import json
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Label, Select, func, select
from sqlalchemy.orm import aliased

from . import calibration
from .buckets import Bucket, bucket_width, series
from .database import POSTGRESQL, AnyRow
from .errors import NotFound
from .history import GapSpan, ReadingRow, gap_spans, readings
from .models import Channel, Device, Newest, Progress, Reading, Stream

__all__ = [
    "Bucket",
    "Changes",
    "ChannelRow",
    "DeviceRow",
    "GapSpan",
    "NewestRow",
    "ReadingRow",
    "bucket_width",
    "changes",
    "channel",
    "commit_number",
    "devices",
    "gap_spans",
    "newest",
    "readings",
    "series",
]

# The interval is the median step of so many latest readings: one lost or late reading does not move it.
RECENT = 6
# And of no older ones than this (ms): so that no table of an older month is asked (partitions.py).
RECENTLY = 31 * 86_400_000
NEWEST_FIELDS = 12
DEVICE_AND_CHANNEL = itemgetter(0, 1)


@dataclasses.dataclass(frozen=True)
class DeviceRow:
    """One board. status is "online", "offline" or None when it never told; health is its last `state` message.

    label, place, note: what people call it, where it stands, what they wrote about it.
    """

    name: str
    enrolled: bool
    created: int
    status: str | None
    status_at: int | None
    health: dict[str, Any] | None
    health_at: int | None
    label: str | None = None
    place: str | None = None
    note: str | None = None


class NewestRow(NamedTuple):
    """A channel's newest committed reading. interval: ms between its readings, None while a month has only one.

    value is corrected by the calibration of this revision; 0: there is none.
    """

    device: str
    channel: int
    sensor: str
    unit: str
    stream: str
    seq: int
    t: int
    tq: str
    value: float | None
    fault: str | None
    received: int
    commit: int
    interval: int | None = None
    calibration: int = 0


@dataclasses.dataclass(frozen=True)
class Changes:
    """commit: number of the last commit that this snapshot holds. newest: what came after the asked one."""

    commit: int
    newest: tuple[NewestRow, ...]


@dataclasses.dataclass(frozen=True)
class ChannelRow:
    channel: int
    device: str
    sensor: str
    unit: str


def commit_number(connection: Connection) -> int:
    """Number of the last commit that changed anything a page shows."""
    return connection.execute(select(Progress.commit)).scalar_one()


def devices(connection: Connection, among: Collection[str] | None = None) -> list[DeviceRow]:
    """All devices, or those of these names, by name."""
    columns = (
        Device.name,
        Device.enrolled,
        Device.created,
        Device.status,
        Device.status_at,
        Device.health,
        Device.health_at,
        Device.label,
        Device.place,
        Device.note,
    )
    asked = select(*columns).order_by(Device.name)
    return [
        DeviceRow(
            row.name,
            row.enrolled,
            row.created,
            row.status,
            row.status_at,
            _health(row.health),
            row.health_at,
            row.label,
            row.place,
            row.note,
        )
        for row in connection.execute(asked if among is None else asked.where(Device.name.in_(among)))
    ]


def newest(connection: Connection, intervals: bool = True, among: Collection[str] | None = None) -> list[NewestRow]:
    """The newest reading of every channel, by device and the channel's age. intervals: find out those too.

    among: of these devices only.
    """
    corrections = calibration.corrections(connection)
    asked = _newest(RECENT if intervals else 1, _has_arrays(connection))
    rows = _in_order(connection.execute(asked if among is None else asked.where(Device.name.in_(among))))
    if not intervals and not corrections:
        return list(itertools.starmap(NewestRow, rows))
    return [_newest_row(row, corrections) for row in rows]


def newest_measured(connection: Connection, since: int) -> list[NewestRow]:
    """As newest(), in no order, of the channels whose newest reading came after commit `since`, not calibrated."""
    return [
        _newest_row(row, {})
        for row in connection.execute(_newest(RECENT, _has_arrays(connection)).where(Newest.commit > since))
    ]


def corrected(connection: Connection, rows: Sequence[NewestRow]) -> list[NewestRow]:
    """Newest readings as measured, by the calibrations that count now."""
    corrections = calibration.corrections(connection)
    return [_corrected(row, corrections) for row in rows]


def changes(connection: Connection, since: int) -> Changes:
    """The channels whose newest reading came with a commit after number `since`."""
    corrections = calibration.corrections(connection)
    rows = _in_order(connection.execute(_newest(RECENT, _has_arrays(connection)).where(Newest.commit > since)))
    return Changes(commit_number(connection), tuple(_newest_row(row, corrections) for row in rows))


def channel(connection: Connection, channel_id: int) -> ChannelRow:
    """Raises NotFound."""
    row = connection.execute(
        select(Channel.id, Device.name, Channel.sensor, Channel.unit)
        .join(Device, Device.id == Channel.device_id)
        .where(Channel.id == channel_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no channel {channel_id}.", "GET /api/v1/devices lists the channels.")
    return ChannelRow(*row)


def _in_order(rows: Iterable[AnyRow]) -> list[AnyRow]:
    """Here, for a database would sort all columns of each, and take as long as for the rest."""
    return sorted(rows, key=DEVICE_AND_CHANNEL)


@functools.cache
def _newest(recent: int, arrays: bool) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Device.name.label("device"),
            Channel.id.label("channel"),
            Channel.sensor,
            Channel.unit,
            Stream.stream,
            Newest.seq,
            Newest.t,
            Newest.tq,
            Newest.value,
            Newest.fault,
            Newest.received,
            Newest.commit.label("commit"),
            *(_earlier_times(recent - 1) if arrays and recent > 1 else map(_earlier, range(1, recent))),
        )
        .join(Channel, Channel.id == Newest.channel_id)
        .join(Device, Device.id == Channel.device_id)
        .join(Stream, Stream.id == Newest.stream_id)
    )


def _earlier(steps: int) -> Label[int | None]:
    """Time of the reading so many steps before the newest: one probe of an index, where a window would scan all."""
    return _before_newest().limit(1).offset(steps - 1).scalar_subquery().label(f"earlier_{steps}")


def _earlier_times(steps: int) -> list[Label[list[int] | None]]:
    """The times of all of them as one array, for PostgreSQL: each question to a table in months costs more."""
    times = _before_newest().limit(steps).subquery()
    return [select(func.array_agg(times.c.t)).scalar_subquery().label("earlier")]


def _before_newest() -> Select[int]:
    earlier = aliased(Reading)
    return (
        select(earlier.t)
        .where(earlier.channel_id == Newest.channel_id, earlier.t < Newest.t, earlier.t >= Newest.t - RECENTLY)
        .order_by(earlier.t.desc())
        .correlate(Newest)
    )


def _has_arrays(connection: Connection) -> bool:
    return connection.dialect.name == POSTGRESQL


def _newest_row(row: Sequence[Any], corrections: Mapping[int, calibration.Correction]) -> NewestRow:
    fields, earlier = row[:NEWEST_FIELDS], row[NEWEST_FIELDS:]
    interval = None
    if earlier:
        steps_back = (earlier[0] or ()) if isinstance(earlier[0], list) else earlier
        times = [fields[6], *(t for t in steps_back if t is not None)]
        steps = [later - before for later, before in itertools.pairwise(times) if later > before]
        interval = statistics.median_low(steps) if steps else None
    return _corrected(NewestRow(*(*fields, interval)), corrections)


def _corrected(row: NewestRow, corrections: Mapping[int, calibration.Correction]) -> NewestRow:
    correction = corrections.get(row.channel, calibration.NONE)
    if not correction.revision:
        return row
    return row._replace(value=correction.apply(row.value), calibration=correction.revision)


def _health(text: str | None) -> dict[str, Any] | None:
    """The device's own words: whatever they are, they must not take the page down."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
