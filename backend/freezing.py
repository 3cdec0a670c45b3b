"""Which readings go into the archive next: whole days of many streams together, so that objects are few and large.

A stream is frozen from its first reading on, without a hole: what is taken of it is always the next run of its seq.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from . import hot_window
from .bulk import Bulk
from .hot_window import DAY, Row, as_readings, day_of
from .models import Reading, Stream
from .parquet import ArchivedGap, Readings, encode

# An object of fewer rows costs more bytes a row, and more requests.
LEAST_ROWS = 10_000
SEQ, T = 1, 3  # of a Row
FIRST_BEYOND = (
    select(Reading.seq, Reading.t)
    .where(Reading.stream_id == bindparam("stream"), Reading.seq > bindparam("after"), Reading.seq <= bindparam("last"))
    .where(Reading.t >= bindparam("end"))
    .order_by(Reading.seq)
    .limit(1)
)


@dataclass
class Taken:
    """A stream that is behind: frozen and position as models.Stream has them; taken up to seq `reached`, with `rows`.

    next: time of its first reading after `reached`; None: there is none up to its position, only gaps.
    """

    id: int
    frozen: int
    position: int
    next: int | None
    reached: int
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    """A batch as SQL will keep it: values of models.Batch, and of its models.BatchSpan."""

    batch: dict[str, Any]
    spans: list[dict[str, Any]]


def take(connection: Connection, limit: int) -> list[Taken]:
    """The streams that are behind, each with its next readings: about `limit`, of whole days if they can be.

    Where more wait, neither what is taken of a day nor what is left of it is below LEAST_ROWS (or the limit).
    """
    streams = _behind(connection)
    if sum(stream.position - stream.frozen for stream in streams) <= limit:
        for stream in streams:
            stream.rows = hot_window.of_stream(connection, stream.id, stream.frozen, stream.position, limit)
            stream.reached = stream.position
        return streams
    least = min(limit, LEAST_ROWS)
    total = 0
    while limit - total >= least or not total:
        times = [stream.next for stream in streams if stream.next is not None]
        if not times:
            break
        end = (min(times) // DAY + 1) * DAY
        for stream in streams:
            if stream.next is not None and stream.next < end:
                total += _take_until(connection, stream, end, limit + least - total)
                if total >= limit + least:
                    _give_back(streams[: streams.index(stream) + 1], total - limit)
                    return _touched(streams)
    return _touched(streams)


def gaps_of(connection: Connection, taken: Sequence[Taken]) -> list[ArchivedGap]:
    """The gaps that lie in what is taken."""
    ranges = {stream.id: (stream.frozen, stream.reached) for stream in taken}
    found = Bulk(connection).select(
        "SELECT spans.stream_id, spans.first, spans.last, spans.cause FROM spans"
        " JOIN streams ON streams.id = spans.stream_id AND spans.last > streams.frozen"
        " WHERE spans.cause IS NOT NULL AND streams.id IN :keys",
        ranges,
    )
    devices, streams = hot_window.stream_texts(connection, {row.stream_id for row in found})
    gaps = []
    for stream_id, first, last, cause in found:
        frozen, reached = ranges[stream_id]
        if first <= reached:
            # A gap may have grown since its beginning was frozen.
            begin, end = max(first, frozen + 1), min(last, reached)
            gaps.append(ArchivedGap(devices[stream_id], streams[stream_id], begin, end, cause))
    return sorted(gaps)


def batches(connection: Connection, taken: Sequence[Taken], gaps: Sequence[ArchivedGap]) -> list[Frozen]:
    """A batch for each UTC day. The gaps go with the first; where there is no reading, with one of today."""
    frozen_at = now()
    readings = as_readings(connection, [row for stream in taken for row in stream.rows])
    days = list(readings.by_day()) or ([(day_of(frozen_at), readings)] if gaps else [])
    spans = _spans(taken)
    return [
        _batch(day, of_day, gaps if number == 0 else (), spans.get(day, []), frozen_at)
        for number, (day, of_day) in enumerate(days)
    ]


def _batch(
    day: str, readings: Readings, gaps: Sequence[ArchivedGap], spans: list[dict[str, Any]], frozen_at: int
) -> Frozen:
    body = encode(readings, gaps)
    sha256 = hashlib.sha256(body).hexdigest()
    batch = {
        "day": day,
        "key": f"day={day}/{sha256[:32]}.parquet",
        "sha256": sha256,
        "size": len(body),
        "rows": len(readings),
        "frozen_at": frozen_at,
        "body": body,
    }
    return Frozen(batch, spans)


def now() -> int:
    return time.time_ns() // 1_000_000


def _behind(connection: Connection) -> list[Taken]:
    next_time = (
        select(Reading.t)
        .where(Reading.stream_id == Stream.id, Reading.seq > Stream.frozen, Reading.seq <= Stream.position)
        .order_by(Reading.seq)
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(
        select(Stream.id, Stream.frozen, Stream.position, next_time)
        .where(Stream.position > Stream.frozen)
        .order_by(Stream.id)
    )
    return [
        Taken(id, frozen, position, t, reached=position if t is None else frozen) for id, frozen, position, t in found
    ]


def _take_until(connection: Connection, stream: Taken, end: int, limit: int) -> int:
    """Take the stream's readings up to its first one of another day, at most `limit`; how many."""
    asked = {"stream": stream.id, "after": stream.reached, "last": stream.position, "end": end}
    beyond = connection.execute(FIRST_BEYOND, asked).one_or_none()
    last = stream.position if beyond is None else int(beyond[0]) - 1
    rows = hot_window.of_stream(connection, stream.id, stream.reached, last, limit)
    stream.rows += rows
    if len(rows) == limit:
        stream.reached = rows[-1][SEQ]
    else:
        stream.reached, stream.next = last, None if beyond is None else int(beyond[1])
    return len(rows)


def _give_back(streams: Sequence[Taken], surplus: int) -> None:
    """Leave the last so many of the taken readings for the next time."""
    for stream in reversed(streams):
        if not surplus:
            return
        back = min(surplus, len(stream.rows))
        if back:
            del stream.rows[-back:]
            stream.reached = stream.rows[-1][SEQ] if stream.rows else stream.frozen
            surplus -= back


def _touched(streams: Sequence[Taken]) -> list[Taken]:
    return [stream for stream in streams if stream.reached > stream.frozen]


def _spans(taken: Sequence[Taken]) -> dict[str, list[dict[str, Any]]]:
    """day → which readings of each stream are in its batch."""
    found: dict[str, list[dict[str, Any]]] = {}
    for stream in taken:
        for day, seqs in _days(stream.rows):
            span = {"stream_id": stream.id, "first": seqs[0], "last": seqs[-1], "rows": len(seqs)}
            found.setdefault(day, []).append(span)
    return found


def _days(rows: Sequence[Row]) -> Iterator[tuple[str, list[int]]]:
    days: dict[int, list[int]] = {}
    for row in rows:
        days.setdefault(row[T] // DAY, []).append(row[SEQ])
    for number, seqs in days.items():
        yield day_of(number * DAY), seqs
