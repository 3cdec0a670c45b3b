"""Ingest: from the broker into SQL. Take a group of messages, commit it, only then acknowledge.

Order is the promise: COMMIT, then PUBACK, then the application ack. Killed anywhere in between, the broker or the
device sends again, and what the stream already has is dropped.
"""

import json
import logging
import random
import threading

from sqlalchemy.exc import DBAPIError

from .bus import Bus, Message
from .commit import Ack, Commit, Committed, Meaning, understand
from .database import Database
from .errors import DatabaseUnavailable, MessageRejected
from .reading import Telemetry, ToldGap

log = logging.getLogger(__name__)

TOPICS = ["thermograph/v1/+/telemetry", "thermograph/v1/+/state", "thermograph/v1/+/status"]
GROUP = 2000
LINGER = 0.03
PATIENCE = 0.25
LONGEST_RETRY = 5.0


class Ingest:
    def __init__(self, database: Database, bus: Bus, enrolment: str) -> None:
        self._database = database
        self._bus = bus
        self._enrolment = enrolment

    def run(self, stop: threading.Event) -> None:
        """Until stop is set. Raises BrokerUnavailable when the MQTT client died."""
        while not stop.is_set():
            group = self._bus.take(GROUP, LINGER, PATIENCE)
            if group:
                self._handle(group, stop)

    def _handle(self, group: list[Message], stop: threading.Event) -> None:
        delay = 0.1
        while not stop.is_set():
            try:
                committed = self.commit(group)
            except DatabaseUnavailable as error:
                # Nothing is acknowledged: the broker keeps the group and holds back what would come next.
                log.warning("%s Trying again in %.1f s.", error.message, delay)
                stop.wait(delay * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
                delay = min(delay * 2, LONGEST_RETRY)
                continue
            for message in group:
                message.ack()
            for ack in committed.acks:
                self._bus.publish(*encode(ack), retain=True)
            if committed.rejected:
                log.warning("%d messages rejected", committed.rejected)
            return

    def commit(self, group: list[Message]) -> Committed:
        """Store the group in one transaction; message by message if the database will not take one of them.

        Raises DatabaseUnavailable.
        """
        try:
            with self._database.write() as connection:
                return Commit(connection, self._enrolment).store(group, [understand(message) for message in group])
        except DBAPIError as error:
            if len(group) > 1:
                parts = [self.commit([message]) for message in group]
                latest = {(ack.device, ack.stream): ack for part in parts for ack in part.acks}
                return Committed(
                    list(latest.values()), sum(part.stored for part in parts), sum(part.rejected for part in parts)
                )
            rejection = _refused(understand(group[0]), error)
            with self._database.write() as connection:
                return Commit(connection, self._enrolment).store(group, [rejection])


def _refused(meaning: Meaning | MessageRejected, error: DBAPIError) -> MessageRejected:
    """A rejection that accounts for the readings of a message the database would not take."""
    held = (meaning.stream, meaning.first, meaning.last) if isinstance(meaning, Telemetry | ToldGap) else None
    return MessageRejected(f"the database refused it: {type(error.orig).__name__}", held)


def encode(ack: Ack) -> tuple[str, bytes]:
    """The topic and payload of an application ack (tests/wire/v1/ack.json)."""
    return f"thermograph/v1/{ack.device}/ack", json.dumps({"stream": ack.stream, "seq": ack.seq}).encode()
