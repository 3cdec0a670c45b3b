"""One transaction's worth of messages into SQL: devices, streams, spans, readings, newest, rejected.

Whatever happens in between, either all of it is there or nothing: the caller acknowledges only after the commit.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, tuple_, update

from .bus import Message
from .coverage import Coverage, Run
from .database import add_missing, upsert
from .errors import MessageRejected
from .models import Channel, Device, Newest, Progress, Reading, Rejected, Span, Stream
from .reading import TOPIC, State, Status, Telemetry, ToldGap, parse

KEPT_BYTES = 4096
# Each run that lies ahead of its turn is a row to keep: past this many, the device sends it again in order.
MAX_ISLANDS = 64

Meaning = Telemetry | ToldGap | State | Status


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


@dataclass
class _Account:
    """A stream's row and spans while the transaction runs."""

    id: int
    sampled: int
    coverage: Coverage


def understand(message: Message) -> Meaning | MessageRejected:
    """What the message says, or why it can't be taken."""
    if message.size != len(message.payload):
        return MessageRejected(f"{message.size} bytes are over the limit")
    try:
        return parse(message.topic, message.payload, message.received)
    except MessageRejected as rejection:
        return rejection


class Commit:
    """Takes messages one by one, then writes all of it. Made for one transaction, then thrown away."""

    def __init__(self, connection: Connection, enrolment: str) -> None:
        self._connection = connection
        self._open = enrolment == "open"
        self._devices: dict[str, int] = {}
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._channels: dict[tuple[str, str, str], int] = {}
        self._readings: list[dict[str, Any]] = []
        self._rejected: list[dict[str, Any]] = []
        self._news: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._changed = False

    def store(self, messages: list[Message], meanings: list[Meaning | MessageRejected]) -> Committed:
        """Write the messages. meanings[i] is what messages[i] says."""
        self._find_devices(messages, meanings)
        self._find_accounts(meanings, messages)
        for message, meaning in zip(messages, meanings, strict=True):
            self._take(message, meaning)
        self._write()
        acks = [
            Ack(device, stream, account.coverage.position)
            for (device, stream), account in self._accounts.items()
            if account.coverage.position
        ]
        return Committed(acks, len(self._readings), len(self._rejected))

    def _find_devices(self, messages: list[Message], meanings: list[Meaning | MessageRejected]) -> None:
        first_seen = {
            meaning.device: message.received
            for message, meaning in zip(reversed(messages), reversed(meanings), strict=True)
            if not isinstance(meaning, MessageRejected)
        }
        keys = [_account_key(*pair) for pair in zip(messages, meanings, strict=True)]
        names = set(first_seen) | {device for device, _ in keys if device}
        self._load_devices(names)
        new = [
            {"name": name, "enrolled": False, "created": received}
            for name, received in first_seen.items()
            if name not in self._devices
        ]
        if new and self._open:
            add_missing(self._connection, Device, new)
            self._load_devices(set(first_seen))
            self._changed = True

    def _load_devices(self, names: set[str]) -> None:
        rows = self._connection.execute(select(Device.name, Device.id).where(Device.name.in_(names)))
        self._devices.update((name, id) for name, id in rows)

    def _find_accounts(self, meanings: list[Meaning | MessageRejected], messages: list[Message]) -> None:
        """Lock the streams that the messages speak of, in one order for all workers, and read their open runs."""
        keys = {
            (self._devices[device], stream): (device, stream)
            for device, stream in map(_account_key, messages, meanings)
            if stream and device in self._devices
        }
        if not keys:
            return
        add_missing(
            self._connection,
            Stream,
            [
                {"device_id": device_id, "stream": stream, "sampled": 0, "position": 0, "frozen": 0, "archived": 0}
                for device_id, stream in sorted(keys)
            ],
        )
        rows = self._connection.execute(
            select(Stream.id, Stream.device_id, Stream.stream, Stream.sampled, Stream.position)
            .where(tuple_(Stream.device_id, Stream.stream).in_(list(keys)))
            .order_by(Stream.id)
            .with_for_update()
        ).all()
        runs: dict[int, list[Run]] = {}
        for stream_id, first, last, cause in self._connection.execute(
            select(Span.stream_id, Span.first, Span.last, Span.cause)
            .join(Stream, and_(Stream.id == Span.stream_id, Span.last >= Stream.position))
            .where(Stream.id.in_([row.id for row in rows]))
        ):
            runs.setdefault(stream_id, []).append(Run(first, last, cause))
        for row in rows:
            self._accounts[keys[row.device_id, row.stream]] = _Account(
                row.id, row.sampled, Coverage(runs.get(row.id, []), row.position)
            )

    def _take(self, message: Message, meaning: Meaning | MessageRejected) -> None:
        if isinstance(meaning, MessageRejected):
            self._reject(message, meaning.message)
            account = self._accounts.get(_account_key(message, meaning))
            if account and meaning.account:
                self._claim(account, meaning.account[1], meaning.account[2], "rejected")
        elif meaning.device not in self._devices:
            self._reject(message, f"device {meaning.device!r} is not enrolled")
        elif isinstance(meaning, Status):
            self._note(Device.status, Device.status_at, meaning.device, meaning.status, message.received)
        elif isinstance(meaning, State):
            if meaning.stream:
                account = self._accounts[meaning.device, meaning.stream]
                account.sampled = max(account.sampled, meaning.sampled)
            self._note(Device.health, Device.health_at, meaning.device, meaning.health, message.received)
        elif isinstance(meaning, ToldGap):
            account = self._accounts[meaning.device, meaning.stream]
            self._claim(account, meaning.first, meaning.last, meaning.cause)
        else:
            self._keep(message, meaning)

    def _claim(self, account: _Account, first: int, last: int, cause: str | None) -> list[tuple[int, int]]:
        coverage = account.coverage
        if first > coverage.position + 1 and coverage.islands >= MAX_ISLANDS:
            return []
        account.sampled = max(account.sampled, last)
        new = coverage.claim(first, last, cause)
        self._changed = self._changed or bool(new)
        return new

    def _keep(self, message: Message, telemetry: Telemetry) -> None:
        account = self._accounts[telemetry.device, telemetry.stream]
        for first, last in self._claim(account, telemetry.first, telemetry.last, None):
            for reading in telemetry.readings[first - telemetry.first : last - telemetry.first + 1]:
                key = (telemetry.device, *reading.channel)
                row = {
                    "stream_id": account.id,
                    "seq": reading.seq,
                    "channel_id": key,
                    "t": reading.t,
                    "tq": reading.tq,
                    "value": reading.value,
                    "fault": reading.fault,
                    "received": message.received,
                }
                self._readings.append(row)
                if _newer(row, self._news.get(key)):
                    self._news[key] = row

    def _note(self, column: Any, at: Any, device: str, text: str, received: int) -> None:
        """Retained messages come again at every connection: only a change counts, and is dated."""
        changed = self._connection.execute(
            update(Device)
            .where(Device.id == self._devices[device], column.is_distinct_from(text))
            .values({column.key: text, at.key: received})
        ).rowcount
        self._changed = self._changed or bool(changed)

    def _reject(self, message: Message, reason: str) -> None:
        self._rejected.append(
            {
                "received": message.received,
                # NUL and other control characters of a hostile message: PostgreSQL's text takes no NUL.
                "topic": _printable(message.topic),
                "reason": _printable(reason),
                "payload": message.payload[:KEPT_BYTES],
                "size": message.size,
                "sha256": hashlib.sha256(message.payload).hexdigest(),
            }
        )

    def _write(self) -> None:
        connection = self._connection
        self._find_channels()
        for row in self._readings:
            row["channel_id"] = self._channels[row["channel_id"]]
        if self._readings:
            connection.execute(insert(Reading), self._readings)
        if self._rejected:
            connection.execute(insert(Rejected), self._rejected)
        for account in self._accounts.values():
            self._write_account(account)
        if self._changed:
            # Taking this row's lock last and in every commit numbers the commits in the order they become visible.
            connection.execute(update(Progress).values(commit=Progress.commit + 1))
        if self._news:
            self._write_newest()

    def _write_account(self, account: _Account) -> None:
        coverage = account.coverage
        if coverage.removed:
            self._connection.execute(delete(Span).where(Span.stream_id == account.id, Span.first.in_(coverage.removed)))
        if coverage.added:
            self._connection.execute(
                insert(Span),
                [
                    {"stream_id": account.id, "first": run.first, "last": run.last, "cause": run.cause}
                    for run in coverage.added
                ],
            )
        self._connection.execute(
            update(Stream).where(Stream.id == account.id).values(sampled=account.sampled, position=coverage.position)
        )

    def _find_channels(self) -> None:
        keys = {row["channel_id"] for row in self._readings}
        if not keys:
            return
        wanted = {(self._devices[device], sensor, unit): (device, sensor, unit) for device, sensor, unit in keys}
        columns = (Channel.device_id, Channel.sensor, Channel.unit)
        found = select(Channel.id, *columns).where(tuple_(*columns).in_(list(wanted)))
        rows = self._connection.execute(found).all()
        if len(rows) < len(wanted):
            add_missing(
                self._connection,
                Channel,
                [{"device_id": device_id, "sensor": sensor, "unit": unit} for device_id, sensor, unit in wanted],
            )
            rows = self._connection.execute(found).all()
        self._channels = {wanted[row.device_id, row.sensor, row.unit]: row.id for row in rows}

    def _write_newest(self) -> None:
        connection = self._connection
        number = connection.execute(select(Progress.commit)).scalar_one()
        news = {self._channels[key]: row for key, row in self._news.items()}
        held = connection.execute(
            select(Newest.channel_id, Newest.stream_id, Newest.seq, Newest.t).where(Newest.channel_id.in_(list(news)))
        )
        for channel_id, *rest in held:
            if not _newer(news[channel_id], dict(zip(("stream_id", "seq", "t"), rest, strict=True))):
                del news[channel_id]
        if news:
            upsert(connection, Newest, [{**row, "commit_number": number} for row in news.values()])


def _account_key(message: Message, meaning: Meaning | MessageRejected) -> tuple[str, str]:
    """(device, stream) that the message gives account of; "" for what it does not name."""
    if isinstance(meaning, Status):
        return meaning.device, ""
    if not isinstance(meaning, MessageRejected):
        return meaning.device, meaning.stream or ""
    match = TOPIC.fullmatch(message.topic)
    if meaning.account is None or match is None:
        return "", ""
    return str(match[1]), meaning.account[0]


def _newer(row: dict[str, Any], held: dict[str, Any] | None) -> bool:
    """Within a stream seq decides, for a clock may step back; between streams only time can."""
    if held is None:
        return True
    if row["stream_id"] == held["stream_id"]:
        return bool(row["seq"] > held["seq"])
    return bool(row["t"] >= held["t"])


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:500])
