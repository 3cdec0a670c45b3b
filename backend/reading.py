"""The wire, version 1, as the backend reads it (golden examples: tests/wire/v1). Pure: bytes in, values out.

Everything from a device passes through the Parser or `parse`; nothing of it is trusted before.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from .errors import MessageRejected

TOPIC = re.compile(r"thermograph/v1/([a-z0-9-]{1,64})/([a-z]{1,16})")
MAX_PAYLOAD = 64 * 1024
MAX_ROWS = 1000
# One reading a second reaches this after 34,000 years: a larger seq is a mistake or an attack.
MAX_SEQ = 2**40
EARLIEST = 1_577_836_800_000  # 2020-01-01, before the first line of this firmware
LATEST = 4_102_444_800_000  # 2100-01-01
ABSOLUTE_ZERO = -273.15
MAX_UPTIME = 2**48
MOST_REMEMBERED = 10_000

Seq = Annotated[int, Meta(ge=1, le=MAX_SEQ)]
StreamId = Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
Word = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]
Sensor = Annotated[str, Meta(pattern="^[A-Za-z0-9_.:-]{1,64}$")]
Unit = Annotated[str, Meta(pattern="^[A-Za-z0-9%/._-]{1,16}$")]


class Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """dt: ms after the message's time; channel: number in the message's list. Either value or fault is None."""

    dt: Annotated[int, Meta(ge=-MAX_UPTIME, le=MAX_UPTIME)]
    channel: Annotated[int, Meta(ge=0)]
    value: float | None
    fault: Word | None = None


class _Telemetry(msgspec.Struct):
    v: Literal[1]
    stream: StreamId
    seq: Seq
    t: Annotated[int, Meta(ge=0, le=LATEST)]
    tq: Literal["ntp", "rtc", "none"]
    ch: Annotated[list[tuple[Sensor, Unit]], Meta(min_length=1, max_length=64)]
    r: Annotated[list[Row], Meta(min_length=1, max_length=MAX_ROWS)]
    boot: Annotated[int, Meta(ge=0, le=MAX_UPTIME)] | None = None
    now: Annotated[int, Meta(ge=0, le=MAX_UPTIME)] | None = None


class _Common(msgspec.Struct, gc=False):
    """Telemetry of a device whose clock is set, as nearly every message is. Its texts are checked by the Parser."""

    v: Literal[1]
    stream: str
    seq: Seq
    t: Annotated[int, Meta(ge=0, le=LATEST)]
    tq: Literal["ntp", "rtc"]
    ch: tuple[tuple[str, str], ...]
    r: Annotated[list[Row], Meta(min_length=1, max_length=MAX_ROWS)]


class _Gap(msgspec.Struct):
    v: Literal[1]
    stream: StreamId
    gap: tuple[Seq, Seq]
    cause: Word


class _Account(msgspec.Struct):
    """The least that says which readings a message held."""

    v: Literal[1]
    stream: StreamId
    seq: Seq
    r: Annotated[list[Any], Meta(min_length=1, max_length=MAX_ROWS)]


Count = Annotated[int, Meta(ge=0, le=MAX_UPTIME)]
Text = Annotated[str, Meta(max_length=256)]


class _Outbox(msgspec.Struct):
    depth: Count
    capacity: Count


class _State(msgspec.Struct, omit_defaults=True):
    """What is not named here is dropped: the page shows nothing that was not checked.

    stream, seq and outbox are missing where the device cannot open its Outbox. command: id of the last one done;
    link: the step that failed last; crash, crash_t, crashes: the last exception, its time and how many in a row;
    missed, lost: samples not taken, and not kept, since the start; refused: revision of the settings it refused.
    """

    v: Literal[1]
    stream: StreamId | None = None
    seq: Annotated[int, Meta(ge=0, le=MAX_SEQ)] = 0
    firmware: Text | None = None
    reset: Text | None = None
    uptime: Count | None = None
    free: Count | None = None
    block: Count | None = None
    rssi: Annotated[int, Meta(ge=-200, le=100)] | None = None
    outbox: _Outbox | None = None
    settings: Count | None = None
    settings_error: Text | None = None
    refused: Count | None = None
    command: Text | int | None = None
    link: Text | None = None
    safe: bool = False
    crash: Text | None = None
    crash_t: Count | None = None
    crashes: Count = 0
    missed: Count = 0
    lost: Count = 0


_telemetry = msgspec.json.Decoder(_Telemetry)
_common = msgspec.json.Decoder(_Common)
_gap = msgspec.json.Decoder(_Gap)
_account = msgspec.json.Decoder(_Account)
_state = msgspec.json.Decoder(_State)


class Reading(msgspec.Struct, frozen=True):
    """One reading. t: Unix ms UTC; value in the channel's unit, or None and a fault."""

    seq: int
    channel: tuple[str, str]
    t: int
    tq: str
    value: float | None
    fault: str | None


class Source:
    """Where telemetry comes from. The Parser gives one object for the same three things, as long as it remembers."""

    __slots__ = ("channels", "device", "stream")

    def __init__(self, device: str, stream: str, channels: tuple[tuple[str, str], ...]) -> None:
        self.device = device
        self.stream = stream
        self.channels = channels


class Telemetry(msgspec.Struct, gc=False):
    """A message of readings: rows[i] has the seq first + i, and is dated start + its dt (Unix ms UTC)."""

    source: Source
    first: int
    start: int
    tq: str
    rows: list[Row]

    @property
    def device(self) -> str:
        return self.source.device

    @property
    def stream(self) -> str:
        return self.source.stream

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def readings(self) -> list[Reading]:
        return [
            Reading(seq, self.source.channels[row.channel], self.start + row.dt, self.tq, row.value, row.fault)
            for seq, row in enumerate(self.rows, self.first)
        ]


@dataclasses.dataclass(frozen=True)
class ToldGap:
    """Readings that the device says it lost, both ends included."""

    device: str
    stream: str
    first: int
    last: int
    cause: str


@dataclasses.dataclass(frozen=True)
class State:
    """A device's health: `sampled` is its newest seq; `health` the checked fields of the message, as JSON.

    stream is None where the device cannot open its Outbox. firmware: its version, "" if it tells none; settings: the
    revision of those it runs.
    """

    device: str
    stream: str | None
    sampled: int
    health: str
    firmware: str
    settings: int


@dataclasses.dataclass(frozen=True)
class Status:
    device: str
    status: Literal["online", "offline"]


Meaning = Telemetry | ToldGap | State | Status


class Arrived(Protocol):
    """A message as it came. received: Unix ms; cut_from: its size, if it was too long to be kept, else 0."""

    topic: bytes
    payload: bytes
    received: int
    cut_from: int


class Parser:
    """Reads messages. It remembers topics, streams and channel lists that it has checked: nearly all come again."""

    def __init__(self) -> None:
        self._sources: dict[tuple[bytes, str, tuple[tuple[str, str], ...]], Source] = {}

    def understand(self, messages: Iterable[Arrived]) -> list[Meaning | MessageRejected]:
        """What each message says, or why it can't be taken."""
        meanings: list[Meaning | MessageRejected] = []
        add, decode, sources = meanings.append, _common.decode, self._sources
        for message in messages:
            # What is anything but common and right is left to _parse, which says what is wrong with it.
            try:
                common = decode(message.payload)
                source = sources[message.topic, common.stream, common.ch]
            except (msgspec.MsgspecError, RecursionError, KeyError):
                add(self._understand_other(message))
                continue
            if _is_sound(common, source.channels) and len(message.payload) <= MAX_PAYLOAD:
                add(Telemetry(source, common.seq, common.t, common.tq, common.r))
            else:
                add(self._understand_other(message))
        return meanings

    def _understand_other(self, message: Arrived) -> Meaning | MessageRejected:
        try:
            if message.cut_from:
                raise MessageRejected(f"{message.cut_from} bytes are over the limit")
            meaning = _parse(*split(message.topic), message.payload, message.received)
        except MessageRejected as rejection:
            return rejection
        if isinstance(meaning, Telemetry) and meaning.tq != "estimated":
            self._remember(message.topic, meaning.source)
        return meaning

    def _remember(self, topic: bytes, source: Source) -> None:
        # Bounded, for an attacker can make up as many as he likes; real ones are soon known again.
        if len(self._sources) >= MOST_REMEMBERED:
            self._sources.clear()
        self._sources[topic, source.stream, source.channels] = source


def parse(topic: str, payload: bytes, received: int) -> Meaning:
    """What one message says. received: Unix ms at which it came, for rows whose device had no clock.

    Raises MessageRejected, with the reason; its `account` names the readings where the message still shows them.
    """
    return _parse(*split(topic.encode(errors="replace")), payload, received)


def split(topic: bytes) -> tuple[str, str]:
    """The device and the leaf. Raises MessageRejected."""
    match = TOPIC.fullmatch(topic.decode(errors="replace"))
    if not match:
        raise MessageRejected("the topic is not thermograph/v1/DEVICE/LEAF")
    return match[1], match[2]


def _is_sound(message: _Common, channels: tuple[tuple[str, str], ...]) -> bool:
    """Whether every row is as it should be, and no higher than the highest seq."""
    earliest, latest, count = EARLIEST - message.t, LATEST - message.t, len(channels)
    for row in message.r:
        value = row.value
        if row.channel >= count or not earliest <= row.dt < latest:
            return False
        if value is None:
            if row.fault is None:
                return False
        elif row.fault is not None or (value < ABSOLUTE_ZERO and channels[row.channel][1] == "Cel"):
            return False
    return message.seq + len(message.r) - 1 <= MAX_SEQ


def printable(text: str) -> str:
    """With a sign in the place of NUL and other control characters: PostgreSQL's text takes no NUL."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:500])


def _parse(device: str, leaf: str, payload: bytes, received: int) -> Meaning:
    if len(payload) > MAX_PAYLOAD:
        raise MessageRejected(f"{len(payload)} bytes are over the limit of {MAX_PAYLOAD}")
    try:
        if leaf == "telemetry":
            return _parse_telemetry(device, payload, received)
        if leaf == "state":
            state = _state.decode(payload)
            health = msgspec.json.encode(state).decode()
            return State(device, state.stream, state.seq, health, state.firmware or "", state.settings or 0)
        if leaf == "status":
            return _parse_status(device, payload)
    except msgspec.MsgspecError as error:
        raise MessageRejected(str(error), _held(payload)) from None
    except RecursionError:
        raise MessageRejected("nested too deeply") from None
    raise MessageRejected(f"no device sends {leaf!r}")


def _parse_telemetry(device: str, payload: bytes, received: int) -> Telemetry | ToldGap:
    try:
        message = _telemetry.decode(payload)
    except msgspec.ValidationError:
        if b'"gap"' not in payload:
            raise
        return _parse_gap(device, payload)
    last = message.seq + len(message.r) - 1
    try:
        if last > MAX_SEQ:
            raise MessageRejected(f"seq {last} is over the limit of {MAX_SEQ}")
        start, quality = _dated(message, received)
        _check_rows(message, start)
    except MessageRejected as rejection:
        rejection.account = (message.stream, message.seq, min(last, MAX_SEQ))
        raise
    source = Source(device, message.stream, tuple(message.ch))
    return Telemetry(source, message.seq, start, quality, message.r)


def _dated(message: _Telemetry, received: int) -> tuple[int, str]:
    """The Unix time that the rows count from, and its quality."""
    if message.tq != "none":
        return message.t, message.tq
    if message.now is None or message.boot is None:
        raise MessageRejected("a message of time quality none needs boot and now")
    return received - (message.now - message.t), "estimated"


def _check_rows(message: _Telemetry, start: int) -> None:
    channels = message.ch
    for number, row in enumerate(message.r):
        t, value = start + row.dt, row.value
        if row.channel >= len(channels):
            raise MessageRejected(f"row {number} names channel {row.channel} of {len(channels)}")
        if (value is None) == (row.fault is None):
            raise MessageRejected(f"row {number} needs either a value or a fault")
        if not EARLIEST <= t < LATEST:
            raise MessageRejected(f"row {number} is dated {t} ms, not between 2020 and 2100")
        if value is not None and channels[row.channel][1] == "Cel" and value < ABSOLUTE_ZERO:
            raise MessageRejected(f"row {number} is {value} Cel, below absolute zero")


def _parse_gap(device: str, payload: bytes) -> ToldGap:
    message = _gap.decode(payload)
    first, last = message.gap
    if first > last:
        raise MessageRejected(f"the gap [{first}, {last}] ends before it begins")
    return ToldGap(device, message.stream, first, last, message.cause)


def _parse_status(device: str, payload: bytes) -> Status:
    if payload == b"online":
        return Status(device, "online")
    if payload == b"offline":
        return Status(device, "offline")
    raise MessageRejected("a status is online or offline")


def _held(payload: bytes) -> tuple[str, int, int] | None:
    try:
        account = _account.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return account.stream, account.seq, min(account.seq + len(account.r) - 1, MAX_SEQ)
