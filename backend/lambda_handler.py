"""Compaction as an AWS Lambda function: from S3 alone, settings from the function's environment.

Handler: backend.lambda_handler.handler. It needs boto3 (the runtime has it) and pyarrow (a layer), SQLAlchemy for the
modules it shares, and a role that may list, get, put and delete under the archive's prefix. Where there is a database
too, `python -m backend compact` must run at least daily: SQL follows by it, and REMOVE_AFTER is how long it may take.
"""

import dataclasses
import os
from typing import Any

from . import compaction
from .freezing import now
from .objects import ObjectStore
from .settings import Settings

REMOVE_AFTER = 49 * compaction.HOUR


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: {"remove_after_s": SECONDS} for another REMOVE_AFTER; else whatever calls it. The report, as JSON has it.

    Raises ThermographError, and RuntimeError when something is not what it was: the function's alarm shows both.
    """
    settings = Settings.read(os.environ)
    remove_after = int(event.get("remove_after_s", REMOVE_AFTER / 1000) * 1000)
    work = compaction.Compaction(ObjectStore(settings), None, remove_after)
    report = work.run(compaction.due_through(now(), int(settings.compact_after * compaction.HOUR)))
    compaction.tell(report)
    if report.troubles:
        raise RuntimeError("; ".join(report.troubles))
    return dataclasses.asdict(report)
