"""Wire v1, as the gateway writes it (golden examples: tests/wire/v1). Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

# A payload stays under about 1 KiB: a row takes up to 45 bytes.
ROWS, SIZE, ROW = 64, 960, 48


class Kept(NamedTuple):
    """A reading in the outbox. t: Unix ms, tq its quality; either value or fault is None."""

    seq: int
    t: int
    tq: str
    name: str
    unit: str
    value: float | None
    fault: str | None


def messages(stream: str, kept: Sequence[Kept]) -> Iterator[tuple[bytes, int]]:
    """(payload of a telemetry message, the last seq in it). kept: seq without a hole."""
    start = 0
    while start < len(kept):
        end, size = start, 80
        channels: dict[tuple[str, str], int] = {}
        rows: list[list[object]] = []
        first = kept[start]
        while end < len(kept) and kept[end].tq == first.tq and len(rows) < ROWS and size < SIZE - ROW:
            one = kept[end]
            if (one.name, one.unit) not in channels:
                channels[one.name, one.unit] = len(channels)
                size += len(one.name) + len(one.unit) + 8
            measured = [one.value] if one.fault is None else [None, one.fault]
            row = [one.t - first.t, channels[one.name, one.unit], *measured]
            rows.append(row)
            size += len(str(row))
            end += 1
        payload = {"v": 1, "stream": stream, "seq": first.seq, "t": first.t, "tq": first.tq}
        yield msgspec.json.encode({**payload, "ch": list(channels), "r": rows}), kept[end - 1].seq
        start = end


def gap(stream: str, first: int, last: int, cause: str) -> bytes:
    return msgspec.json.encode({"v": 1, "stream": stream, "gap": [first, last], "cause": cause})


def state(stream: str, last: int, depth: int, capacity: int) -> bytes:
    """Health of a sensor: its newest seq, and how many of its readings wait here."""
    outbox = {"depth": depth, "capacity": capacity}
    return msgspec.json.encode({"v": 1, "stream": stream, "seq": last, "firmware": "gateway", "outbox": outbox})


class _Ack(msgspec.Struct):
    stream: str
    seq: int


_ack = msgspec.json.Decoder(_Ack)


def ack(payload: bytes) -> tuple[str, int] | None:
    """(stream, seq) of an application ack; None if it is none."""
    try:
        told = _ack.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return (told.stream, told.seq) if told.seq >= 0 else None
