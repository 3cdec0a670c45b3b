"""The ledger: for every stream, where each of its readings is. It always adds up:

sampled = stored + lost in gaps + waiting on the device
stored  = archived + waiting for the archive
"""

import dataclasses
from collections.abc import Collection

from sqlalchemy import Connection, func, select

from .models import Device, Span, Stream


@dataclasses.dataclass(frozen=True)
class Gap:
    """Readings that will never come: those from seq first to last, and why."""

    first: int
    last: int
    cause: str

    @property
    def readings(self) -> int:
        return self.last - self.first + 1


@dataclasses.dataclass(frozen=True)
class StreamLedger:
    """One stream's account, in readings. `gaps` are oldest first."""

    device: str
    stream: str
    sampled: int
    stored: int
    archived: int
    gaps: tuple[Gap, ...]

    @property
    def lost(self) -> int:
        return sum(gap.readings for gap in self.gaps)

    @property
    def waiting_on_device(self) -> int:
        return self.sampled - self.stored - self.lost

    @property
    def waiting_for_archive(self) -> int:
        return self.stored - self.archived


def read(connection: Connection, device: str | None = None, among: Collection[str] | None = None) -> list[StreamLedger]:
    """Every stream's account (of one device, if named, or of those among), by device and the stream's age."""
    names = among if device is None else (device,)
    streams = (
        select(Stream.id, Device.name, Stream.stream, Stream.sampled, Stream.archived)
        .join(Device, Device.id == Stream.device_id)
        .order_by(Device.name, Stream.id)
    )
    spans = select(Span.stream_id)
    if names is not None:
        streams = streams.where(Device.name.in_(names))
        of_them = select(Stream.id).join(Device, Device.id == Stream.device_id).where(Device.name.in_(names))
        spans = spans.where(Span.stream_id.in_(of_them))
    stored: dict[int, int] = {
        stream_id: int(readings)
        for stream_id, readings in connection.execute(
            spans.add_columns(func.sum(Span.last - Span.first + 1)).where(Span.cause.is_(None)).group_by(Span.stream_id)
        )
    }
    gaps: dict[int, list[Gap]] = {}
    for stream_id, first, last, cause in connection.execute(
        spans.add_columns(Span.first, Span.last, Span.cause)
        .where(Span.cause.is_not(None))
        .order_by(Span.stream_id, Span.first)
    ):
        gaps.setdefault(stream_id, []).append(Gap(first, last, str(cause)))
    return [
        StreamLedger(name, stream, sampled, stored.get(stream_id, 0), archived, tuple(gaps.get(stream_id, ())))
        for stream_id, name, stream, sampled, archived in connection.execute(streams)
    ]
