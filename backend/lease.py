"""A lease: of all processes that want to do a thing, on whatever machines, one does it.

Its holder raises a number in SQL while it lives. Who wants the lease watches that number by its own steady clock, and
takes over when it has stood still for LAPSE seconds: no two machines' clocks are ever compared. A holder that was
stopped and wakes up late may overlap with its successor for a moment, so what it does must be safe when done twice.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable

from sqlalchemy import delete, select, update

from .database import Database, add_missing
from .models import Lease as Row

# Together under 30 s, which is how soon another one has taken over from one that was killed.
LAPSE = 20.0
RENEW = 5.0


class Lease:
    def __init__(self, database: Database, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """name: what the lease is for. clock: seconds, steady."""
        self._database = database
        self._name = name
        self._clock = clock
        self.holder = f"{socket.gethostname()[:24]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._renewed: float | None = None
        self._seen: tuple[str, int] | None = None
        self._seen_at = 0.0

    def hold(self) -> bool:
        """Get the lease, or keep it; False while another holds it. Call it at least every RENEW seconds.

        Raises DatabaseUnavailable.
        """
        now = self._clock()
        if self._renewed is not None and now - self._renewed < RENEW:
            return True
        self._renewed = now if self._take(now) else None
        return self._renewed is not None

    def release(self) -> None:
        """Give it back at once, for the next one not to wait. Raises DatabaseUnavailable."""
        if self._renewed is not None:
            self._renewed = None
            with self._database.write() as connection:
                connection.execute(delete(Row).where(Row.name == self._name, Row.holder == self.holder))

    def _take(self, now: float) -> bool:
        with self._database.read() as connection:
            found = connection.execute(select(Row.holder, Row.beats).where(Row.name == self._name)).one_or_none()
        if found is None:
            with self._database.write() as connection:
                add_missing(connection, Row, [{"name": self._name, "holder": self.holder, "beats": 0}])
            return self._beat((self.holder, 0))
        seen = (found.holder, found.beats)
        if found.holder != self.holder and not self._is_stale(seen, now):
            return False
        return self._beat(seen)

    def _is_stale(self, seen: tuple[str, int], now: float) -> bool:
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at >= LAPSE

    def _beat(self, seen: tuple[str, int]) -> bool:
        """Raise the number, unless somebody else did."""
        holder, beats = seen
        with self._database.write() as connection:
            moved = connection.execute(
                update(Row)
                .where(Row.name == self._name, Row.holder == holder, Row.beats == beats)
                .values(holder=self.holder, beats=beats + 1)
            )
            return moved.rowcount == 1
