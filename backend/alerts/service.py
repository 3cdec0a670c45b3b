"""The alert service: evaluates when something was committed, follows up what nobody answered, and delivers."""

import logging
import threading
import time

from ..database import Database
from ..errors import DatabaseUnavailable
from ..queries import commit_number
from . import health
from .delivery import Delivery
from .engine import Engine
from .telling import follow_up

log = logging.getLogger(__name__)

POLL = 1.0
# Silence is seen by time passing, not by a commit.
AT_LEAST_EVERY = 15.0


def run(database: Database, engine: Engine, delivery: Delivery, stop: threading.Event) -> None:
    """Until stop is set; what is down is tried again."""
    recovered, seen, looked = False, -1, 0.0
    while not stop.wait(POLL):
        now = time.time_ns() // 1_000_000
        try:
            if not recovered:
                delivery.recover(now)
                recovered = True
            with database.read() as connection:
                number = commit_number(connection)
            if number != seen or time.monotonic() - looked >= AT_LEAST_EVERY:
                with database.write() as connection:
                    health.record(connection, now)
                changed = engine.round(now)
                seen, looked = number, time.monotonic()
                if changed:
                    log.info("%d episodes changed", changed)
            follow_up(database, now)
            delivery.round(now)
        except DatabaseUnavailable as error:
            log.warning("%s Trying again.", error.message)
