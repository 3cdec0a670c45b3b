"""Ingest: from the broker into SQL. Take a group of messages, commit it, only then acknowledge.

Order is the promise: COMMIT, then PUBACK, then the application ack. Killed anywhere in between, the broker or the
device sends again, and what the stream already has is dropped.

A group is all that waits, up to a batch: the more there is to do, the less of it is commit.
"""

import logging
import random
import threading
from collections.abc import Iterable

import msgspec
from sqlalchemy.exc import DBAPIError

from . import failpoints
from .bus import Bus, Message
from .commit import Ack, Commit, Committed
from .database import Database
from .errors import DatabaseUnavailable, MessageRejected
from .reading import Meaning, Parser, Telemetry, ToldGap

log = logging.getLogger(__name__)

TELEMETRY = "thermograph/v1/+/telemetry"
TOPICS = [TELEMETRY, "thermograph/v1/+/state", "thermograph/v1/+/status"]
BATCH = 20_000
LINGER = 0.05
PATIENCE = 0.25
LONGEST_RETRY = 5.0

Meanings = list[Meaning | MessageRejected]


class Ingest:
    def __init__(self, database: Database, bus: Bus, enrolment: str, batch: int = BATCH) -> None:
        """batch: most messages of one transaction."""
        self._database = database
        self._bus = bus
        self._enrolment = enrolment
        self._batch = batch
        self._parser = Parser()

    def run(self, stop: threading.Event) -> None:
        """Until stop is set. Raises BrokerUnavailable when the MQTT client died or hangs."""
        while not stop.is_set():
            group = self._bus.take(self._batch, LINGER, PATIENCE)
            if group:
                failpoints.reach("ingest.taken")
                self._handle(group, stop)

    def _handle(self, group: list[Message], stop: threading.Event) -> None:
        committed = self._commit_at_last(group, stop)
        if committed is None:
            return
        self._bus.ack(group)
        failpoints.reach("ingest.acked")
        self._bus.publish(encode(committed.acks), retain=True)
        failpoints.reach("ingest.told")
        if committed.rejected:
            log.warning("%d messages rejected", committed.rejected)

    def _commit_at_last(self, group: list[Message], stop: threading.Event) -> Committed | None:
        """Try until the database takes it. None: stopped before."""
        delay = 0.1
        while not stop.is_set():
            try:
                return self.commit(group)
            except DatabaseUnavailable as error:
                # Nothing is acknowledged: the broker keeps the group and holds back what would come next.
                log.warning("%s Trying again in %.1f s.", error.message, delay)
                stop.wait(delay * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
                delay = min(delay * 2, LONGEST_RETRY)
        return None

    def commit(self, group: list[Message]) -> Committed:
        """Store the group in one transaction; in smaller ones if the database will not take one of its messages.

        Raises DatabaseUnavailable.
        """
        meanings = self._parser.understand(group)
        failpoints.reach("ingest.understood")
        return self._store(group, meanings)

    def _store(self, group: list[Message], meanings: Meanings) -> Committed:
        try:
            return self._transact(group, meanings)
        except DBAPIError as error:
            if len(group) == 1:
                return self._transact(group, [_refused(meanings[0], error)])
        # Halves find the one message among 20,000 in 15 steps.
        half = len(group) // 2
        first = self._store(group[:half], meanings[:half])
        return _joined(first, self._store(group[half:], meanings[half:]))

    def _transact(self, group: list[Message], meanings: Meanings) -> Committed:
        with self._database.write() as connection:
            commit = Commit(connection, self._enrolment, group, meanings)
            commit.find()
            failpoints.reach("ingest.locked")
            commit.take()
            failpoints.reach("ingest.chosen")
            committed = commit.write()
            failpoints.reach("ingest.written")
        failpoints.reach("ingest.committed")
        return committed


def topics(share: str) -> list[str]:
    """What to subscribe to. share: name of the workers' shared subscription; empty: there is one worker.

    Every worker hears state and status: a share brings no retained message, and it could bring two out of order.
    """
    return [f"$share/{share}/{TELEMETRY}", *TOPICS[1:]] if share else TOPICS


def _refused(meaning: Meaning | MessageRejected, error: DBAPIError) -> MessageRejected:
    """A rejection that accounts for the readings of a message the database would not take."""
    held = (meaning.stream, meaning.first, meaning.last) if isinstance(meaning, Telemetry | ToldGap) else None
    return MessageRejected(f"the database refused it: {type(error.orig).__name__}", held)


def _joined(first: Committed, second: Committed) -> Committed:
    latest = {(ack.device, ack.stream): ack for ack in first.acks + second.acks}
    return Committed(list(latest.values()), first.stored + second.stored, first.rejected + second.rejected)


def encode(acks: Iterable[Ack]) -> list[tuple[str, bytes]]:
    """The topics and payloads of application acks (tests/wire/v1/ack.json)."""
    return [
        (f"thermograph/v1/{ack.device}/ack", msgspec.json.encode({"stream": ack.stream, "seq": ack.seq}))
        for ack in acks
    ]
