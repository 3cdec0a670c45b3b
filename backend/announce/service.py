"""The announcing service: follows the commits, and keeps the broker's retained messages equal to what SQL says."""

import logging
import threading
import time

from sqlalchemy import Connection

from .. import queries, wanted_settings
from ..database import Database
from ..errors import BrokerUnavailable, DatabaseUnavailable
from . import home_assistant, latest
from .outlet import Outlet

log = logging.getLogger(__name__)

POLL = 0.5
# A new label, calibration or health is found by looking at every device again.
SWEEP = 15.0


class Announcer:
    """Tells the broker what changed since it was told last; all of it to a broker that we meet anew."""

    def __init__(self, database: Database, outlet: Outlet, prefix: str) -> None:
        """prefix: of Home Assistant's discovery; empty: it is told nothing."""
        self._database = database
        self._outlet = outlet
        self._prefix = prefix
        self._told: dict[str, bytes] = {}
        self._connection = 0
        self._commit = -1
        self._swept = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Until stop is set; what is down is tried again."""
        while not stop.wait(POLL):
            if not self._outlet.connected.is_set():
                continue
            try:
                self.round()
            except (BrokerUnavailable, DatabaseUnavailable) as error:
                log.warning("%s Trying again.", error.message)

    def round(self) -> None:
        """Tell what is new. Raises BrokerUnavailable, DatabaseUnavailable."""
        if self._outlet.connection != self._connection:
            self._connection, self._told, self._swept = self._outlet.connection, {}, float("-inf")
        sweep, now = time.monotonic() - self._swept >= SWEEP, time.monotonic()
        with self._database.read() as connection:
            commit = queries.commit_number(connection)
            messages = self._messages(connection, sweep) if sweep or commit != self._commit else {}
            wanted = wanted_settings.everything(connection)
        messages |= {f"thermograph/v1/{each.device}/settings": each.payload for each in wanted}
        news = {topic: payload for topic, payload in messages.items() if self._told.get(topic) != payload}
        self._outlet.tell(news.items())
        self._told |= news
        self._mark([each for each in wanted if each.published_at is None])
        self._commit, self._swept = commit, now if sweep else self._swept

    def _messages(self, connection: Connection, sweep: bool) -> dict[str, bytes]:
        """topic → payload: of all devices, or of those whose newest readings changed."""
        among = None if sweep else {row.device for row in queries.changes(connection, self._commit).newest}
        channels: dict[str, list[queries.NewestRow]] = {}
        for row in queries.newest(connection, among=among):
            channels.setdefault(row.device, []).append(row)
        found = dict(latest.message(name, rows) for name, rows in channels.items())
        if self._prefix:
            devices = queries.devices(connection, among)
            found |= dict(home_assistant.message(self._prefix, row, channels.get(row.name, [])) for row in devices)
        return found

    def _mark(self, wanted: list[wanted_settings.Wanted]) -> None:
        if wanted:
            with self._database.write() as connection:
                for each in wanted:
                    wanted_settings.published(connection, each, time.time_ns() // 1_000_000)
