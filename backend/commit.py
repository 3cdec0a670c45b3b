"""One transaction's worth of messages into SQL: devices, streams, spans, readings, newest, rollups, rejected.

Whatever happens in between, either all of it is there or nothing: the caller acknowledges only after the commit.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from . import failpoints, rollup
from .bulk import Bulk, names
from .bus import Message
from .coverage import Coverage, Run
from .database import add_missing
from .device_notes import DeviceNotes
from .errors import MessageRejected
from .models import Channel, Device, Newest, Progress, Rejected, Span, Stream
from .reading import Meaning, Source, State, Status, Telemetry, ToldGap, printable, split

KEPT_BYTES = 4096
# Each run that lies ahead of its turn is a row to keep: past this many, the device sends it again in order.
MAX_ISLANDS = 64

# A row of models.Reading: stream_id, seq, channel_id, t, tq, value, fault, received.
Row = tuple[int, int, int, int, str, float | None, str | None, int]


@dataclass(frozen=True)
class Ack:
    """The application ack: the device's stream is accounted for, contiguously, up to seq."""

    device: str
    stream: str
    seq: int


@dataclass(frozen=True)
class Committed:
    acks: list[Ack]
    stored: int
    rejected: int


class _Account:
    """A stream's row and spans while the transaction runs."""

    __slots__ = ("before", "coverage", "id", "sampled")

    def __init__(self, id: int, sampled: int, coverage: Coverage) -> None:
        self.id = id
        self.sampled = sampled
        self.coverage = coverage
        self.before = (sampled, coverage.position)


class Commit:
    """Takes messages one by one, then writes all of it. Made for one transaction, then thrown away.

    find() reads and locks, take() only counts in memory, write() writes: between any two of them a kill loses nothing.
    """

    def __init__(
        self,
        connection: Connection,
        enrolment: str,
        messages: list[Message],
        meanings: list[Meaning | MessageRejected],
    ) -> None:
        """meanings[i] is what messages[i] says."""
        self._connection = connection
        self._bulk = Bulk(connection)
        self._open = enrolment == "open"
        self._messages = messages
        self._meanings = meanings
        self._devices: dict[str, int] = {}
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._sources: dict[Source, tuple[_Account, list[int]]] = {}
        self._readings: list[Row] = []
        self._rejected: list[dict[str, Any]] = []
        self._notes = DeviceNotes()
        self._changed = False

    def find(self) -> None:
        """Find, or make, the devices, channels and streams that the messages speak of; lock the streams."""
        sources = {meaning.source for meaning in self._meanings if type(meaning) is Telemetry}
        others = [pair for pair in zip(self._messages, self._meanings, strict=True) if type(pair[1]) is not Telemetry]
        self._find_devices(sources, others)
        known = [source for source in sources if source.device in self._devices]
        channels = self._find_channels(known)
        self._find_accounts(
            {(source.device, source.stream) for source in known} | {_account_key(*pair) for pair in others}
        )
        for source in known:
            self._sources[source] = self._accounts[source.device, source.stream], channels[source]

    def take(self) -> None:
        """Tell what is new from what is not."""
        sources, keep = self._sources, self._readings.append
        for message, meaning in zip(self._messages, self._meanings, strict=True):
            if type(meaning) is not Telemetry:
                self._take_other(message, meaning)
                continue
            found = sources.get(meaning.source)
            if found is None:
                self._reject(message, f"device {meaning.device!r} is not enrolled")
                continue
            account, channels = found
            first, rows, start, tq, received = meaning.first, meaning.rows, meaning.start, meaning.tq, message.received
            # Nearly always all of it comes right after what is there.
            if not account.coverage.extend(first, first + len(rows) - 1):
                self._take_parts(message, meaning)
                continue
            for seq, row in enumerate(rows, first):
                keep((account.id, seq, channels[row.channel], start + row.dt, tq, row.value, row.fault, received))

    def write(self) -> Committed:
        """Write what is new. The transaction's commit makes it last."""
        self._changed |= self._notes.write(self._connection, self._devices)
        if self._rejected:
            self._connection.execute(insert(Rejected), self._rejected)
        self._readings.sort()
        self._bulk.insert_readings(self._readings)
        failpoints.reach("ingest.readings")
        self._write_accounts()
        failpoints.reach("ingest.spans")
        by_channel = _by_channel(self._readings)
        self._bulk.add_rollups(
            [
                (channel_id, *bucket)
                for channel_id, rows in by_channel
                for bucket in rollup.rows([row[3] for row in rows], [row[5] for row in rows])
            ]
        )
        failpoints.reach("ingest.rollups")
        if self._changed or self._readings:
            # Taking this row's lock last and in every commit numbers the commits in the order they become visible.
            self._connection.execute(update(Progress).values(commit=Progress.commit + 1))
        if by_channel:
            self._write_newest(by_channel)
        acks = [
            Ack(device, stream, account.coverage.position)
            for (device, stream), account in self._accounts.items()
            if account.coverage.position
        ]
        return Committed(acks, len(self._readings), len(self._rejected))

    def _find_devices(self, sources: set[Source], others: list[tuple[Message, Meaning | MessageRejected]]) -> None:
        speaking = {source.device for source in sources}
        speaking |= {meaning.device for _, meaning in others if not isinstance(meaning, MessageRejected)}
        rejected = {_account_key(*pair)[0] for pair in others if isinstance(pair[1], MessageRejected)}
        self._load_devices(speaking | rejected - {""})
        if self._open and (new := speaking - self._devices.keys()):
            received = self._messages[0].received
            rows = [{"name": name, "enrolled": False, "created": received} for name in sorted(new)]
            add_missing(self._connection, Device, rows)
            self._load_devices(new)
            self._changed = True

    def _load_devices(self, devices: set[str]) -> None:
        rows = self._bulk.select("SELECT name, id FROM devices WHERE name IN :keys", devices)
        self._devices.update((name, id) for name, id in rows)

    def _find_channels(self, sources: list[Source]) -> dict[Source, list[int]]:
        """The ids of each source's channels, in its order."""
        wanted = {(self._devices[source.device], *channel) for source in sources for channel in source.channels}
        found = self._load_channels(wanted)
        if missing := sorted(wanted - found.keys()):
            columns = ("device_id", "sensor", "unit")
            self._bulk.insert_missing(Channel, columns, missing)
            found = self._load_channels(wanted)
        return {
            source: [found[self._devices[source.device], *channel] for channel in source.channels] for source in sources
        }

    def _load_channels(self, wanted: set[tuple[int, str, str]]) -> dict[tuple[int, str, str], int]:
        rows = self._bulk.select(
            "SELECT device_id, sensor, unit, id FROM channels WHERE device_id IN :keys", {key[0] for key in wanted}
        )
        return {(device_id, sensor, unit): id for device_id, sensor, unit, id in rows}

    def _find_accounts(self, named: set[tuple[str, str]]) -> None:
        """Lock the streams of these (device, stream), in one order for all workers, and read their open runs."""
        keys = {
            (self._devices[device], stream): (device, stream)
            for device, stream in named
            if stream and device in self._devices
        }
        if not keys:
            return
        rows = self._lock_streams(keys)
        if missing := sorted(set(keys) - {(row.device_id, row.stream) for row in rows}):
            new = [(device_id, stream, 0, 0, 0, 0) for device_id, stream in missing]
            columns = ("device_id", "stream", "sampled", "position", "frozen", "archived")
            self._bulk.insert_missing(Stream, columns, new)
            rows = self._lock_streams(keys)
        runs: dict[int, list[Run]] = {}
        for stream_id, first, last, cause in self._bulk.select(
            "SELECT spans.stream_id, spans.first, spans.last, spans.cause FROM streams"
            " JOIN spans ON spans.stream_id = streams.id AND spans.last >= streams.position WHERE streams.id IN :keys",
            [row.id for row in rows],
        ):
            runs.setdefault(stream_id, []).append(Run(first, last, cause))
        for row in rows:
            self._accounts[keys[row.device_id, row.stream]] = _Account(
                row.id, row.sampled, Coverage(runs.get(row.id, []), row.position)
            )

    def _lock_streams(self, keys: dict[tuple[int, str], tuple[str, str]]) -> list[Any]:
        rows = self._bulk.select(
            "SELECT id, device_id, stream, sampled, position FROM streams WHERE device_id IN :keys"
            " ORDER BY id FOR UPDATE",
            {device_id for device_id, _ in keys},
        )
        return [row for row in rows if (row.device_id, row.stream) in keys]

    def _take_parts(self, message: Message, telemetry: Telemetry) -> None:
        """Those of its rows that nothing accounted for yet."""
        account, channels = self._sources[telemetry.source]
        first, start, tq = telemetry.first, telemetry.start, telemetry.tq
        for begin, end in self._claim(account, first, telemetry.last, None):
            for seq, row in enumerate(telemetry.rows[begin - first : end - first + 1], begin):
                kept = (channels[row.channel], start + row.dt, tq, row.value, row.fault, message.received)
                self._readings.append((account.id, seq, *kept))

    def _take_other(self, message: Message, meaning: Meaning | MessageRejected) -> None:
        if isinstance(meaning, MessageRejected):
            self._reject(message, meaning.message)
            account = self._accounts.get(_account_key(message, meaning))
            if account and meaning.account:
                self._claim(account, meaning.account[1], meaning.account[2], "rejected")
        elif meaning.device not in self._devices:
            self._reject(message, f"device {meaning.device!r} is not enrolled")
        elif isinstance(meaning, State | Status):
            self._notes.take(meaning, message.received)
            if isinstance(meaning, State) and meaning.stream:
                account = self._accounts[meaning.device, meaning.stream]
                account.sampled = max(account.sampled, meaning.sampled)
        elif isinstance(meaning, ToldGap):
            account = self._accounts[meaning.device, meaning.stream]
            self._claim(account, meaning.first, meaning.last, meaning.cause)

    def _claim(self, account: _Account, first: int, last: int, cause: str | None) -> list[tuple[int, int]]:
        """The parts of first..last that nothing accounted for yet, and that this does."""
        coverage = account.coverage
        if first > coverage.position + 1 and coverage.islands >= MAX_ISLANDS:
            return []
        account.sampled = max(account.sampled, last)
        new = coverage.claim(first, last, cause)
        self._changed = self._changed or bool(new)
        return new

    def _reject(self, message: Message, reason: str) -> None:
        self._rejected.append(
            {
                "received": message.received,
                "topic": printable(message.topic.decode(errors="replace")),
                "reason": printable(reason),
                "payload": message.payload[:KEPT_BYTES],
                "size": message.size,
                "sha256": hashlib.sha256(message.payload).hexdigest(),
            }
        )

    def _write_accounts(self) -> None:
        moved: list[tuple[int, int, int]] = []
        removed: list[dict[str, int]] = []
        added: list[tuple[int, int, int, str | None]] = []
        for account in self._accounts.values():
            coverage = account.coverage
            sampled = max(account.sampled, coverage.position)
            if (sampled, coverage.position) != account.before:
                moved.append((account.id, sampled, coverage.position))
            longer, others = coverage.changes()
            removed += [{"stream": account.id, "from": first} for first in others]
            added += [(account.id, run.first, run.last, run.cause) for run in longer]
        if removed:
            these = delete(Span).where(Span.stream_id == bindparam("stream"), Span.first == bindparam("from"))
            self._connection.execute(these, removed)
        self._bulk.upsert(Span, ("stream_id", "first", "last", "cause"), added)
        self._bulk.move_streams(moved)

    def _write_newest(self, by_channel: list[tuple[int, list[Row]]]) -> None:
        number = self._connection.execute(select(Progress.commit)).scalar_one()
        news = {channel_id: _newest(rows) for channel_id, rows in by_channel}
        held = self._bulk.select("SELECT channel_id, stream_id, seq, t FROM newest WHERE channel_id IN :keys", news)
        for channel_id, stream_id, seq, t in held:
            if not _is_newer(news[channel_id], stream_id, seq, t):
                del news[channel_id]
        # newest has the columns of readings, in another order, and the commit's number.
        rows = [(row[2], row[0], row[1], *row[3:], number) for row in news.values()]
        self._bulk.upsert(Newest, names(Newest), rows)


def _account_key(message: Message, meaning: Meaning | MessageRejected) -> tuple[str, str]:
    """(device, stream) that the message gives account of; "" for what it does not name."""
    if isinstance(meaning, Telemetry):
        return meaning.device, meaning.stream
    if isinstance(meaning, Status):
        return meaning.device, ""
    if not isinstance(meaning, MessageRejected):
        return meaning.device, meaning.stream or ""
    if meaning.account is None:
        return "", ""
    return split(message.topic)[0], meaning.account[0]


def _by_channel(readings: list[Row]) -> list[tuple[int, list[Row]]]:
    """Channel ids in order (workers lock rows in one order), each with its readings in order of stream and seq."""
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in readings:
        found[row[2]].append(row)
    return sorted(found.items())


def _newest(rows: list[Row]) -> Row:
    """The newest of a channel's readings, which are in order of stream and seq."""
    newest = rows[-1]
    if rows[0][0] == newest[0]:
        return newest
    for row in rows:
        if _is_newer(row, newest[0], newest[1], newest[3]):
            newest = row
    return newest


def _is_newer(row: Row, stream_id: int, seq: int, t: int) -> bool:
    """Within a stream seq decides, for a clock may step back; between streams only time can."""
    return row[1] > seq if row[0] == stream_id else row[3] >= t
