"""Readings for exports: of the channels that were asked for, in one order, wherever they are (history.py knows)."""

import heapq
import itertools
from collections.abc import Iterator
from operator import attrgetter

from sqlalchemy import Connection, select

from .. import calibration, history
from ..models import Channel, Device
from ..objects import ObjectStore
from .formats import Line
from .paging import Position


def of_device(connection: Connection, name: str) -> list[int]:
    """The ids of its channels."""
    ids = select(Channel.id).join(Device, Device.id == Channel.device_id).where(Device.name == name)
    return list(connection.scalars(ids.order_by(Channel.id)))


def lines(
    connection: Connection,
    channels: list[int],
    since: int,
    until: int,
    store: ObjectStore,
    after: Position | None = None,
) -> Iterator[Line]:
    """Every reading of since <= t < until by (t, channel, stream, seq); those behind `after`, if it is given.

    Holds a page of rows of each channel in memory. Raises ObjectStoreUnavailable.
    """
    if after is not None:
        since = max(since, int(after[0]))
    found = heapq.merge(*(_of_channel(connection, id, since, until, store) for id in channels), key=position)
    return found if after is None else itertools.dropwhile(lambda line: position(line) <= after, found)


def position(line: Line) -> Position:
    """What a cursor holds: no two readings have the same."""
    return [line.t, line.channel, line.stream, line.seq]


POSITION = (int, int, str, int)


def _of_channel(connection: Connection, channel_id: int, since: int, until: int, store: ObjectStore) -> Iterator[Line]:
    names = connection.execute(
        select(Device.name, Device.label, Channel.sensor, Channel.unit)
        .join(Device, Device.id == Channel.device_id)
        .where(Channel.id == channel_id)
    ).one()
    correction = calibration.corrections(connection).get(channel_id, calibration.NONE)
    texts = names.name, names.label or "", names.sensor, names.unit
    found = history.readings(connection, channel_id, since, until, store)
    for _, at_once in itertools.groupby(found, key=attrgetter("t")):
        # Readings of one time may change places when they leave SQL: a cursor needs one order.
        for row in sorted(at_once, key=attrgetter("stream", "seq")):
            corrected = correction.apply(row.value)
            yield Line(
                channel_id, *texts, row.stream, row.seq, row.t, row.tq, corrected, row.value, correction.revision,
                row.fault, row.received,
            )  # fmt: skip
