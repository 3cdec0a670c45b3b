"""From the reset to the first reading that is stored and acknowledged: the board's console beside the backend."""

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .console import Sample, Story, ingest_error
from .errors import ChipFailed
from .stages import Stages

if TYPE_CHECKING:
    from backend.database import Database

# How long a connected board with a reading may wait for its ack.
INGEST_PATIENCE = 30.0
ASK_EVERY = 0.25
# How long a port may be away while its board starts again.
GONE = 10.0
# Bytes of a line that never ends: what a port at the wrong speed gives.
LONGEST = 4096


@dataclasses.dataclass(frozen=True)
class Arrived:
    """latency: seconds from the line that told of the sample to the one that told of its ack, as seen here."""

    sample: Sample
    stream: str
    latency: float


class Lines:
    """The console's lines as they come. serial: a pyserial port."""

    def __init__(self, serial: Any) -> None:
        self._serial = serial
        self._serial.timeout = 0.1
        self._rest = b""

    def read(self) -> list[str]:
        """Those that are complete; waits 0.1 s at most. Raises ChipFailed when the port is gone."""
        try:
            data = self._serial.read(self._serial.in_waiting or 1)
        except OSError:
            self._reopen()
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LONGEST:]
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def _reopen(self) -> None:
        """A chip with USB of its own (S3, C3) leaves the bus at its reset and comes back."""
        deadline = time.monotonic() + GONE
        while True:
            try:
                self._serial.close()
                self._serial.open()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    advice = "Leave its cable alone, and run this again."
                    raise ChipFailed("The board's port is gone.", advice, str(error)) from None
            time.sleep(0.1)


class Backend:
    """What the backend knows of one device."""

    def __init__(self, database: "Database", device: str) -> None:
        self._database = database
        self._device = device

    def has_stored(self, stream: str, seq: int) -> bool:
        """Whether that reading is accounted for: stored, not a gap. Raises DatabaseUnavailable."""
        from sqlalchemy import select

        from backend.models import Device, Span, Stream

        wanted = (
            select(Span.first)
            .join(Stream, Stream.id == Span.stream_id)
            .join(Device, Device.id == Stream.device_id)
            .where(Device.name == self._device, Stream.stream == stream, Span.first <= seq, Span.last >= seq)
            .where(Span.cause.is_(None))
        )
        with self._database.read() as connection:
            return connection.execute(wanted).first() is not None

    def last_rejection(self, since: int) -> str | None:
        """Why ingest last refused a message of this device, since a time in Unix ms."""
        from sqlalchemy import select

        from backend.models import Rejected

        wanted = (
            select(Rejected.reason)
            .where(Rejected.topic.like(f"thermograph/v1/{self._device}/%"), Rejected.received >= since)
            .order_by(Rejected.id.desc())
        )
        with self._database.read() as connection:
            return connection.execute(wanted).scalars().first()


def follow(
    lines: Lines, backend: Backend, stages: Stages, seconds: float, heard: Callable[[str], None] = lambda line: None
) -> Arrived:
    """Until the first reading of this start is stored and acknowledged. Raises what keeps it from that, a BoardError.

    heard: given each line of the console.
    """
    began, began_ms = time.monotonic(), time.time_ns() // 1_000_000
    story, teller, stored, due, waiting = Story(), Teller(stages, began), False, 0.0, None
    while True:
        now = time.monotonic()
        for line in lines.read():
            heard(line)
            story.feed(line, now)
        teller.tell(story, now)
        if story.first and story.stream and story.connected:
            waiting = waiting or now
            if not stored and now >= due:
                stored, due = backend.has_stored(story.stream, story.first.seq), now + ASK_EVERY
            if stored and story.stored_as_told:
                stages.passed("ingest", now - waiting, "stored, and acknowledged")
                return Arrived(story.first, story.stream, now - story.first.at)
            if now - waiting > min(INGEST_PATIENCE, seconds):
                reason = backend.last_rejection(began_ms)
                raise ingest_error(f"rejected: {reason}" if reason else _what_is_missing(stored))
        else:
            waiting = None
        if failure := story.failure():
            raise failure
        if now - began > seconds:
            raise story.overdue()


class Teller:
    """A tick for each stage that the story has passed, in their order, each once."""

    def __init__(self, stages: Stages, began: float) -> None:
        self._stages = stages
        self._last = began
        self._told: set[str] = set()

    def tell(self, story: Story, now: float) -> None:
        self._tell("start", f"stream {story.stream}" if story.stream else None, now)
        self._tell("Wi-Fi", story.joined, now)
        self._tell("connection", story.connected, now)
        self._tell("sensor", _words(story.first) if story.first else None, now)

    def _tell(self, name: str, detail: str | None, now: float) -> None:
        if detail is not None and name not in self._told:
            self._told.add(name)
            self._stages.passed(name, now - self._last, detail)
            self._last = now


def _words(sample: Sample) -> str:
    return f"{sample.sensor} {sample.value} {sample.unit}, seq {sample.seq}"


def _what_is_missing(stored: bool) -> str:
    return "stored, but its ack has not come" if stored else "connected and sent, but nothing of it is in the database"
