"""Compaction as an AWS Lambda function; its settings come from the function's environment.

Handler: backend.lambda_handler.handler. `python -m tools lambda-zip` makes its zip. Where THERMOGRAPH_DATABASE is set,
SQL follows in the same run, with the password of the secret DATABASE_SECRET. Without it all is done from S3 alone: then
`python -m backend compact` must run at least daily for SQL to follow, and REMOVE_AFTER is how long it may take.
"""

import dataclasses
import os
from typing import Any

from . import compaction
from .catalog import Catalog
from .database import Database
from .deploy.credentials import fetch
from .freezing import now
from .objects import ObjectStore
from .settings import Settings, variable

REMOVE_AFTER = 49 * compaction.HOUR


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: {"remove_after_s": SECONDS} for another REMOVE_AFTER; else whatever calls it. The report, as JSON has it.

    Raises ThermographError, and RuntimeError when something is not what it was: the function's alarm shows both.
    """
    settings = Settings.read(os.environ)
    database = _database(settings) if variable("database") in os.environ else None
    try:
        default = REMOVE_AFTER if database is None else compaction.REMOVE_AFTER
        remove_after = int(event.get("remove_after_s", default / 1000) * 1000)
        catalog = None if database is None else Catalog(database)
        work = compaction.Compaction(ObjectStore(settings), catalog, remove_after)
        report = work.run(compaction.due_through(now(), int(settings.compact_after * compaction.HOUR)))
    finally:
        if database is not None:
            database.close()
    compaction.tell(report)
    if report.troubles:
        raise RuntimeError("; ".join(report.troubles))
    return dataclasses.asdict(report)


def _database(settings: Settings) -> Database:
    """Raises Unavailable when Secrets Manager does not give the password, and what Database does."""
    secret = os.environ.get("DATABASE_SECRET")
    database = Database(settings.database, fetch(secret)[1] if secret else settings.database_password)
    database.check_revision()
    return database
