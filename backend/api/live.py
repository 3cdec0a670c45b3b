"""The live state: one thread watches the commit number for all event streams of this process."""

import functools
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from .. import commit_signal, ledger, queries
from ..commit_signal import CommitSignal
from ..database import Database
from ..errors import DatabaseUnavailable
from . import shapes, watching
from .shapes import Json

log = logging.getLogger(__name__)

RETRY = 1.0
# A commit's readings are told at once. What it changed besides (states, the archive, alerts) is found by reading all
# devices again, and that only so often.
SWEEP = 1.0
# From so many changed devices on, reading all is the shorter way.
MANY = 200
HEARTBEAT = 15.0
# Each open stream holds one of the server's threads.
MOST_STREAMS = 600


@dataclass(frozen=True)
class News:
    """devices: JSON of those that changed, by name; who has heard it knows all up to this commit.

    `available` is False while the database does not answer. Made once for all readers who know as much, and JSON once
    for all of them: hundreds of streams tell the same.
    """

    commit: int
    devices: dict[str, str]
    available: bool

    def told(self, among: set[str] | None) -> str:
        """The devices of these names (None: all) as a JSON list."""
        if among is None:
            return self._all
        return f"[{','.join(text for name, text in self.devices.items() if name in among)}]"

    @functools.cached_property
    def _all(self) -> str:
        return f"[{','.join(self.devices.values())}]"


@dataclass(frozen=True)
class Change:
    """When a device's state last became another one: with the database's commit of this number, as our version."""

    commit: int
    version: int


class Live:
    """Every device's state as of the newest commit, and when it last changed here.

    Streams hold a cursor, the commit number up to which their reader knows everything. Whoever comes with an old
    cursor gets whole devices, never differences, so that being told twice changes nothing.
    """

    def __init__(self, database: Database, signal: CommitSignal | None = None) -> None:
        """Reads nothing yet: the first stream starts the watcher. signal: when to look; None: what the database has."""
        self._database = database
        self._signal = signal or commit_signal.choose(database)
        self._condition = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._available = True
        self._streams = 0
        # Readings are known up to _commit, everything up to _swept.
        self._commit = -1
        self._swept = -1
        self._swept_at = 0.0
        self._version = 0
        self._reads = 0
        self._channels: dict[int, queries.NewestRow] = {}
        self._watched = watching.NOTHING
        self._devices: dict[str, Json] = {}
        self._changed: dict[str, Change] = {}
        # (what a reader knows: version or -1, cursor or 0) → its news, until there are newer ones.
        self._made: dict[tuple[int, int], News] = {}

    @property
    def streams(self) -> int:
        """Open event streams."""
        return self._streams

    def open_stream(self) -> bool:
        """Take a place; False when all are taken or the server is ending. Each True needs a close_stream()."""
        with self._condition:
            if self._stopping.is_set() or self._streams >= MOST_STREAMS:
                return False
            self._streams += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="live", daemon=True)
                self._thread.start()
            return True

    def close_stream(self) -> None:
        with self._condition:
            self._streams -= 1

    def follow(self, cursor: int) -> Iterator[News | None]:
        """News after the cursor as it comes; None when HEARTBEAT seconds were quiet. Ends with the server."""
        with self._condition:
            reader = Reader(cursor, self._reads)
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping.is_set() or self._is_news(reader), HEARTBEAT)
                if self._stopping.is_set():
                    return
                news = self._news(reader) if self._is_news(reader) else None
            yield news

    def close(self) -> None:
        """End every stream and the watcher."""
        self._stopping.set()
        with self._condition:
            self._condition.notify_all()
        if self._thread:
            self._thread.join(timeout=5)

    def _is_news(self, reader: "Reader") -> bool:
        if reader.available != self._available:
            return True
        if self._swept < 0 or reader.version == self._version:
            return False
        # A cursor from the future knows another database (a restored one), or a commit that we have not read yet.
        if reader.cursor > self._commit and self._reads < reader.reads + 2:
            return False
        return reader.version >= 0 or reader.cursor != self._swept or bool(self._to_tell(reader).devices)

    def _news(self, reader: "Reader") -> News:
        reader.available = self._available
        if self._swept < 0:
            return News(reader.cursor, {}, self._available)
        news = self._to_tell(reader)
        reader.version, reader.cursor = self._version, self._swept
        return news

    def _to_tell(self, reader: "Reader") -> News:
        knows = (reader.version, 0) if reader.version >= 0 else (-1, reader.cursor)
        if knows not in self._made:
            if len(self._made) > MOST_STREAMS:
                self._made.clear()  # who comes says what he knows: it may be anything
            if reader.version >= 0:
                names = [name for name, change in self._changed.items() if change.version > reader.version]
            else:
                since = reader.cursor if reader.cursor <= self._commit else -1
                names = [name for name, change in self._changed.items() if change.commit > since]
            texts = {name: json.dumps(self._devices[name], separators=(",", ":")) for name in names}
            self._made[knows] = News(self._swept, texts, self._available)
        return self._made[knows]

    def _watch(self) -> None:
        try:
            self._look()
        finally:
            self._signal.close()

    def _look(self) -> None:
        while not self._stopping.is_set():
            before, told = self._commit, False
            if self._available:
                told = self._signal.wait(self._stopping, self._until_sweep())
            elif self._stopping.wait(RETRY):
                return
            try:
                self._read()
                if self._commit != before and before >= 0 and not told:
                    self._signal.missed()
            except DatabaseUnavailable as error:
                self._mark(False, str(error))
            except Exception:
                # The thread's last resort: were it to end, all pages would stand still and claim to be live.
                log.exception("reading what changed failed")
                self._mark(False, "reading what changed failed")

    def _until_sweep(self) -> float:
        """Seconds until all devices have to be read again."""
        if self._swept == self._commit:
            return HEARTBEAT
        return max(0.0, self._swept_at + SWEEP - time.monotonic())

    def _mark(self, available: bool, reason: str = "") -> None:
        with self._condition:
            if self._available != available:
                log.warning("live pages: %s", reason or "the database answers again")
                self._available = available
                self._made.clear()
                self._condition.notify_all()

    def _read(self) -> None:
        with self._database.read() as connection:
            commit = queries.commit_number(connection)
            if commit < self._commit:
                self._forget()
            due = time.monotonic() >= self._swept_at + SWEEP
            if commit != self._commit or (due and commit != self._swept):
                self._catch_up(connection, commit, due)
        with self._condition:
            self._reads += 1
        self._mark(True)

    def _catch_up(self, connection: Connection, commit: int, due: bool) -> None:
        """Read what changed since _commit; all devices when that is due."""
        newest = queries.changes(connection, self._commit).newest
        self._channels.update((row.channel, row) for row in newest)
        among = {row.device for row in newest}
        whole = due or self._swept < 0 or len(among) > MANY
        if whole:
            self._watched = watching.read(connection)
        elif not among:
            self._commit = commit
            return
        names = None if whole else among
        rows, streams = queries.devices(connection, names), ledger.read(connection, among=names)
        channels = sorted(
            (row for row in self._channels.values() if whole or row.device in among),
            key=lambda row: (row.device, row.channel),
        )
        self._take(commit, shapes.assemble(rows, channels, streams, self._watched), whole)

    def _forget(self) -> None:
        """The database is an older one than we have read: restored. Nothing of the other one is true any more."""
        with self._condition:
            for known in (self._channels, self._devices, self._changed, self._made):
                known.clear()
            self._commit = self._swept = -1

    def _take(self, commit: int, devices: list[Json], whole: bool) -> None:
        with self._condition:
            self._version += 1
            self._made.clear()
            for device in devices:
                if self._devices.get(device["name"]) != device:
                    self._devices[device["name"]] = device
                    self._changed[device["name"]] = Change(commit, self._version)
            self._commit = commit
            if whole:
                self._swept, self._swept_at = commit, time.monotonic()
            self._condition.notify_all()


@dataclass
class Reader:
    """What one stream's reader knows. version: of ours, -1 until it was told anything; reads: ours when it came."""

    cursor: int
    reads: int
    version: int = -1
    available: bool = True
