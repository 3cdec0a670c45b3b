"""The JSON that API, event stream and page share. Pure: rows in, dictionaries out. README.md shows the shapes."""

import time
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection

from .. import ledger, queries
from ..ledger import StreamLedger
from ..newest_cache import NewestReadings
from ..queries import DeviceRow, NewestRow
from . import watching
from .watching import NOTHING, Watching

Json = dict[str, Any]

# A device that samples every second is not silent because Wi-Fi took a breath.
SHORTEST_SILENCE = 10_000
UNKNOWN_INTERVAL = 60_000
# Newest gaps of a stream that go with every change of its device; GET /ledger has all of them.
GAPS_SHOWN = 20
COUNTS = ("sampled", "stored", "archived", "waiting_for_archive", "waiting_on_device", "lost")


def now() -> int:
    return time.time_ns() // 1_000_000


def snapshot(connection: Connection, among: Collection[str] | None, newest: NewestReadings) -> Json:
    """A whole page's state: {now, commit, devices}, of all devices or of those of these names.

    newest: where the newest readings are to be had.
    """
    # Read first: whatever is newer than this number comes again with the next one, and nothing is skipped.
    commit = queries.commit_number(connection)
    found = assemble(
        queries.devices(connection, among),
        newest.read(connection, among),
        ledger.read(connection, among=among),
        watching.read(connection),
    )
    return {"now": now(), "commit": commit, "devices": found}


def assemble(
    devices: Iterable[DeviceRow],
    channels: Iterable[NewestRow],
    streams: Iterable[StreamLedger],
    watched: Watching = NOTHING,
) -> list[Json]:
    """Each device with its channels, its ledger and what is wrong with it."""
    channels_of: dict[str, list[NewestRow]] = {}
    for row in channels:
        channels_of.setdefault(row.device, []).append(row)
    streams_of: dict[str, list[StreamLedger]] = {}
    for stream in streams:
        streams_of.setdefault(stream.device, []).append(stream)
    return [device(row, channels_of.get(row.name, []), streams_of.get(row.name, []), watched) for row in devices]


def device(
    row: DeviceRow, channels: Iterable[NewestRow], streams: list[StreamLedger], watched: Watching = NOTHING
) -> Json:
    return {
        "name": row.name,
        "label": row.label,
        "place": row.place,
        "note": row.note,
        "enrolled": row.enrolled,
        "created": row.created,
        "status": row.status,
        "status_at": row.status_at,
        "health": row.health,
        "health_at": row.health_at,
        "channels": [channel(found, watched) for found in channels],
        "ledger": account(streams, GAPS_SHOWN),
        "alerts": watched.alerts.get(row.name, []),
    }


def channel(row: NewestRow, watched: Watching = NOTHING) -> Json:
    return {
        "id": row.channel,
        "sensor": row.sensor,
        "unit": row.unit,
        "interval": row.interval,
        "calibration": row.calibration,
        "stale_after": max(3 * (row.interval or UNKNOWN_INTERVAL), SHORTEST_SILENCE),
        "limits": watched.limits.get(row.channel, []),
        "newest": {
            "stream": row.stream,
            "seq": row.seq,
            "t": row.t,
            "tq": row.tq,
            "value": row.value,
            "fault": row.fault,
            "received": row.received,
            "commit": row.commit,
        },
    }


def account(streams: list[StreamLedger], gaps_shown: int | None = None) -> Json:
    """Sums over the streams, and each stream. gaps_shown: that many newest gaps of each; None: all."""
    return {
        **{count: sum(getattr(stream, count) for stream in streams) for count in COUNTS},
        "streams": [stream_account(stream, gaps_shown) for stream in streams],
    }


def stream_account(stream: StreamLedger, gaps_shown: int | None) -> Json:
    shown = stream.gaps if gaps_shown is None else stream.gaps[-gaps_shown:]
    return {
        "device": stream.device,
        "stream": stream.stream,
        **{count: getattr(stream, count) for count in COUNTS},
        "gap_count": len(stream.gaps),
        "gaps": [{"first": gap.first, "last": gap.last, "readings": gap.readings, "cause": gap.cause} for gap in shown],
    }
