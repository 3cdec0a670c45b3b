"""When to look for a new commit: by PostgreSQL's own word, or every so often.

A trigger of `progress` (migration 0008) notifies in the transaction of each commit. The word says only that there is
something; what there is is read from SQL, so that one that is lost costs time and nothing else.
"""

import logging
import threading
import time
from typing import Any, Protocol

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

from .database import POSTGRESQL, Database

log = logging.getLogger(__name__)

CHANNEL = "thermograph_commit"
# Seconds between two looks: without a word, and at the least (under load every commit has a word of its own).
POLL = 0.2
LEAST = 0.1
# So long at most is one asked for while it has a listener: should the word be lost, it is found then.
PATIENCE = 1.0
# A listener that missed so many commits in a row is deaf (behind a pooler): it polls, and tries again later.
MISSED = 3
DEAF = 60.0
SLICE = 0.5


class CommitSignal(Protocol):
    def wait(self, stopping: threading.Event, seconds: float) -> bool:
        """Return when there may be a commit, after `seconds` at the latest, or soon when stopping; True: told so."""

    def missed(self) -> None:
        """There was a commit of which nothing was told."""

    def close(self) -> None: ...


def choose(database: Database) -> CommitSignal:
    return Listening(database) if database.engine.dialect.name == POSTGRESQL else Polling()


class Polling:
    def wait(self, stopping: threading.Event, seconds: float) -> bool:
        stopping.wait(min(POLL, seconds))
        return False

    def missed(self) -> None:
        pass

    def close(self) -> None:
        pass


class Listening:
    """One connection that listens; polls while there is none. For one thread."""

    def __init__(self, database: Database) -> None:
        """Nothing is opened yet."""
        self._database = database
        self._listener: PoolProxiedConnection | None = None
        self._driver: Any = None
        self._missed = 0
        self._not_before = 0.0
        self._looked = 0.0

    def wait(self, stopping: threading.Event, seconds: float) -> bool:
        if self._listener is None:
            stopping.wait(min(POLL, seconds))
            self._listen()
            return False
        stopping.wait(max(0.0, self._looked + LEAST - time.monotonic()))
        heard = self._hear(stopping, min(PATIENCE, seconds))
        self._looked = time.monotonic()
        if heard:
            self._missed = 0
        return heard

    def missed(self) -> None:
        self._missed += 1
        if self._missed >= MISSED and self._listener is not None:
            log.warning("live pages: PostgreSQL's notifications do not come through; asking every %.1f s", POLL)
            self._not_before = time.monotonic() + DEAF
            self.close()

    def close(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener.close()

    def _listen(self) -> None:
        if time.monotonic() < self._not_before:
            return
        self._missed = 0
        self._not_before = time.monotonic() + POLL
        try:
            listener = self._database.engine.raw_connection()
        except DBAPIError:
            return
        driver: Any = listener.driver_connection
        # For itself alone: it is closed at the end, and never used for anything else.
        listener.detach()
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
        except self._errors():
            listener.close()
            return
        self._listener, self._driver = listener, driver

    def _hear(self, stopping: threading.Event, seconds: float) -> bool:
        driver = self._driver
        end = time.monotonic() + seconds
        try:
            while not stopping.is_set() and (left := end - time.monotonic()) > 0:
                if list(driver.notifies(timeout=min(SLICE, left), stop_after=1)):
                    # All that have come by now are answered by one look.
                    list(driver.notifies(timeout=0))
                    return True
        except self._errors():
            log.info("live pages: the listening connection broke; polling until it is back")
            self.close()
        return False

    def _errors(self) -> Any:
        return self._database.engine.dialect.loaded_dbapi.Error
