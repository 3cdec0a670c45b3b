"""What pages and the API read: pure reads over a Connection of Database.read(), the same on SQLite and PostgreSQL.

Times are Unix milliseconds UTC, values in the channel's SenML unit.
"""

import dataclasses
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, select
from sqlalchemy.orm import aliased

from . import calibration
from .errors import NotFound
from .history import Bucket, GapSpan, ReadingRow, bucket_width, gap_spans, readings, series
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
NEWEST_FIELDS = 12


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


class NewestRow(NamedTuple):
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


def newest(connection: Connection, intervals: bool = True) -> list[NewestRow]:
    """The newest reading of every channel, by device and the channel's age. intervals: find out those too."""
    corrections = calibration.corrections(connection)
    return [_newest_row(row, corrections) for row in connection.execute(_newest(RECENT if intervals else 1))]


def changes(connection: Connection, since: int) -> Changes:
    """The channels whose newest reading came with a commit after number `since`."""
    corrections = calibration.corrections(connection)
    rows = connection.execute(_newest(RECENT).where(Newest.commit > since))
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


def _newest(recent: int) -> Select[*tuple[Any, ...]]:
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
            *(_earlier(steps).label(f"earlier_{steps}") for steps in range(1, recent)),
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
    fields, earlier = row[:NEWEST_FIELDS], row[NEWEST_FIELDS:]
    correction = corrections.get(fields[1], calibration.NONE)
    interval = None
    if earlier:
        times = [fields[6], *(t for t in earlier if t is not None)]
        steps = [later - before for later, before in itertools.pairwise(times) if later > before]
        interval = statistics.median_low(steps) if steps else None
    known = NewestRow(*(*fields, interval, correction.revision))
    return known._replace(value=correction.apply(known.value)) if correction.revision else known


def _health(text: str | None) -> dict[str, Any] | None:
    """The device's own words: whatever they are, they must not take the page down."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
