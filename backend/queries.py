"""What pages and the API read: pure reads over a Connection of Database.read(), the same on SQLite and PostgreSQL.

Times are Unix milliseconds UTC, values in the channel's SenML unit.
"""

import dataclasses
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select
from sqlalchemy.orm import aliased

from . import calibration
from .errors import NotFound
from .models import Channel, Device, Newest, Progress, Reading, Stream

# The interval is the median step of so many latest readings: one lost or late reading does not move it.
RECENT = 6


@dataclasses.dataclass(frozen=True)
class DeviceRow:
    """One board. status is "online", "offline" or None when it never told; health is its last `state` message."""

    name: str
    enrolled: bool
    created: int
    status: str | None
    status_at: int | None
    health: dict[str, Any] | None
    health_at: int | None


@dataclasses.dataclass(frozen=True)
class NewestRow:
    """A channel's newest committed reading. interval: ms between its readings, None while there is only one.

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


@dataclasses.dataclass(frozen=True)
class Bucket:
    """The readings from `first` to `last` (their own times). min, mean, max are None when all of them are faults."""

    first: int
    last: int
    min: float | None
    mean: float | None
    max: float | None
    values: int
    faults: int


def commit_number(connection: Connection) -> int:
    """Number of the last commit that changed anything a page shows."""
    return connection.execute(select(Progress.commit)).scalar_one()


def devices(connection: Connection) -> list[DeviceRow]:
    """All devices by name."""
    columns = (
        Device.name,
        Device.enrolled,
        Device.created,
        Device.status,
        Device.status_at,
        Device.health,
        Device.health_at,
    )
    return [
        DeviceRow(row.name, row.enrolled, row.created, row.status, row.status_at, _health(row.health), row.health_at)
        for row in connection.execute(select(*columns).order_by(Device.name))
    ]


def newest(connection: Connection) -> list[NewestRow]:
    """The newest reading of every channel, by device and the channel's age."""
    corrections = calibration.corrections(connection)
    return [_newest_row(row, corrections) for row in connection.execute(_newest())]


def changes(connection: Connection, since: int) -> Changes:
    """The channels whose newest reading came with a commit after number `since`."""
    corrections = calibration.corrections(connection)
    rows = connection.execute(_newest().where(Newest.commit > since))
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


def series(connection: Connection, channel_id: int, since: int, until: int, buckets: int) -> list[Bucket]:
    """Readings of since <= t < until in at most `buckets` buckets of equal width; empty ones are left out.

    Minimum and maximum keep a spike of one reading visible however wide a bucket is. Values are corrected by the
    channel's calibration, which is linear: it may be applied after the mean is taken.
    """
    number = (Reading.t - since) // bucket_width(since, until, buckets)
    rows = connection.execute(
        select(
            func.min(Reading.t),
            func.max(Reading.t),
            func.min(Reading.value),
            func.avg(Reading.value),
            func.max(Reading.value),
            func.count(Reading.value),
            func.sum(case((Reading.fault.is_not(None), 1), else_=0)),
        )
        .where(Reading.channel_id == channel_id, Reading.t >= since, Reading.t < until)
        .group_by(number)
        .order_by(func.min(Reading.t))
    )
    correct = calibration.corrections(connection).get(channel_id, calibration.NONE).apply
    # sum() is a decimal in PostgreSQL.
    return [
        Bucket(first, last, correct(least), correct(mean), correct(most), values, int(faults))
        for first, last, least, mean, most, values, faults in rows
    ]


def bucket_width(since: int, until: int, buckets: int) -> int:
    """Milliseconds of one bucket: the range is never cut into more than `buckets`."""
    return max(1, -(-(until - since) // buckets))


def _newest() -> Select[*tuple[Any, ...]]:
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
            *(_earlier(steps).label(f"earlier_{steps}") for steps in range(1, RECENT)),
        )
        .join(Channel, Channel.id == Newest.channel_id)
        .join(Device, Device.id == Channel.device_id)
        .join(Stream, Stream.id == Newest.stream_id)
        .order_by(Device.name, Channel.id)
    )


def _earlier(steps: int) -> ColumnElement[int | None]:
    """Time of the reading so many steps before the newest: one probe of an index, where a window would scan all."""
    earlier = aliased(Reading)
    return (
        select(earlier.t)
        .where(earlier.channel_id == Newest.channel_id, earlier.t < Newest.t)
        .order_by(earlier.t.desc())
        .limit(1)
        .offset(steps - 1)
        .correlate(Newest)
        .scalar_subquery()
    )


def _newest_row(row: Sequence[Any], corrections: Mapping[int, calibration.Correction]) -> NewestRow:
    fields, earlier = row[: -(RECENT - 1)], row[-(RECENT - 1) :]
    raw = NewestRow(*fields)
    correction = corrections.get(raw.channel, calibration.NONE)
    known = dataclasses.replace(raw, value=correction.apply(raw.value), calibration=correction.revision)
    times = [known.t, *(t for t in earlier if t is not None)]
    steps = [later - before for later, before in itertools.pairwise(times) if later > before]
    return dataclasses.replace(known, interval=statistics.median_low(steps)) if steps else known


def _health(text: str | None) -> dict[str, Any] | None:
    """The device's own words: whatever they are, they must not take the page down."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
