"""The live state: one thread watches the commit number for all event streams of this process."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from .. import ledger, queries
from ..database import Database
from ..errors import DatabaseUnavailable
from . import shapes
from .shapes import Json

log = logging.getLogger(__name__)

POLL = 0.2
RETRY = 1.0
HEARTBEAT = 15.0
# Each open stream holds one of the server's threads.
MOST_STREAMS = 256


@dataclass(frozen=True)
class News:
    """devices: those that changed after the asked commit; `available` is False while the database does not answer."""

    commit: int
    devices: list[Json]
    available: bool


class Live:
    """Every device's state as of the newest commit, and with which commit it last changed here.

    Streams hold a cursor, the commit number up to which their reader knows everything. Whoever comes with an old
    cursor gets whole devices, never differences, so that being told twice changes nothing.
    """

    def __init__(self, database: Database) -> None:
        """Reads nothing yet: the first stream starts the watcher."""
        self._database = database
        self._condition = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._commit = -1
        self._available = True
        self._channels: dict[int, queries.NewestRow] = {}
        self._devices: dict[str, Json] = {}
        self._changed: dict[str, int] = {}
        self._streams = 0

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
        available = True
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._is_news(cursor, available), HEARTBEAT)  # noqa: B023
                if self._stopping.is_set():
                    return
                news = self._news(cursor) if self._is_news(cursor, available) else None
            if news:
                cursor, available = news.commit, news.available
            yield news

    def close(self) -> None:
        """End every stream and the watcher."""
        self._stopping.set()
        with self._condition:
            self._condition.notify_all()
        if self._thread:
            self._thread.join(timeout=5)

    def _is_news(self, cursor: int, available: bool) -> bool:
        loaded = self._commit >= 0
        return self._stopping.is_set() or available != self._available or (loaded and cursor != self._commit)

    def _news(self, cursor: int) -> News:
        if self._commit < 0:
            return News(cursor, [], self._available)
        # A cursor from the future knows another database (a restored one): it is told everything.
        since = cursor if cursor <= self._commit else -1
        devices = [self._devices[name] for name, commit in self._changed.items() if commit > since]
        return News(self._commit, devices, self._available)

    def _watch(self) -> None:
        while not self._stopping.wait(POLL if self._available else RETRY):
            try:
                self._read()
            except DatabaseUnavailable as error:
                self._mark(False, str(error))
            except Exception:
                # The thread's last resort: were it to end, all pages would stand still and claim to be live.
                log.exception("reading what changed failed")
                self._mark(False, "reading what changed failed")

    def _mark(self, available: bool, reason: str = "") -> None:
        with self._condition:
            if self._available != available:
                log.warning("live pages: %s", reason or "the database answers again")
                self._available = available
                self._condition.notify_all()

    def _read(self) -> None:
        with self._database.read() as connection:
            commit = queries.commit_number(connection)
            if commit != self._commit:
                if commit < self._commit:
                    self._channels.clear()
                    self._commit = -1
                changes = queries.changes(connection, self._commit)
                rows, streams = queries.devices(connection), ledger.read(connection)
                self._channels.update((row.channel, row) for row in changes.newest)
                channels = sorted(self._channels.values(), key=lambda row: (row.device, row.channel))
                self._take(commit, shapes.assemble(rows, channels, streams))
        self._mark(True)

    def _take(self, commit: int, devices: list[Json]) -> None:
        with self._condition:
            if self._commit < 0:
                self._devices.clear()
            for device in devices:
                if self._devices.get(device["name"]) != device:
                    self._devices[device["name"]] = device
                    self._changed[device["name"]] = commit
            if self._commit < 0:
                # What changed before this process looked is unknown: whoever knows less gets everything.
                self._changed = {device["name"]: commit for device in devices}
            self._commit = commit
            self._condition.notify_all()
