"""Named points between the steps of the backend, where a test kills the process with SIGKILL.

Unless armed, `reach` does nothing. A composition root arms it once, at the start of its process.
"""

import os
import signal
from collections.abc import Callable

from .errors import SettingsError

# In the order in which a reading meets them.
POINTS = (
    "ingest.taken",  # from the broker
    "ingest.understood",
    "ingest.locked",  # its streams are found or made, in the transaction
    "ingest.chosen",  # what is new among it
    "ingest.readings",  # are written, in the transaction
    "ingest.spans",
    "ingest.rollups",
    "ingest.written",  # all of it
    "ingest.committed",
    "ingest.acked",  # to the broker
    "ingest.told",  # to the devices
    "archive.leased",
    "archive.taken",  # what comes next is read from SQL
    "archive.encoded",
    "archive.moved",  # how far the streams are frozen, in the transaction
    "archive.batched",
    "archive.frozen",  # committed
    "archive.put",  # to S3
    "archive.compared",
    "archive.marked",  # as uploaded, in the transaction
    "archive.counted",
    "archive.archived",  # committed
    "archive.proven",  # S3 was read back, before rows leave SQL
    "archive.dropping",  # is noted, in the transaction
    "archive.deleted",
    "archive.dropped",  # committed
    "compact.joined",  # a day's objects are read
    "compact.put",  # as one, to S3
    "compact.checked",  # it was read back
    "compact.replacing",  # SQL's batches by one, in the transaction
    "compact.replaced",  # committed
    "compact.sealed",  # in the manifest
    "compact.removed",  # the first of the old objects
    "restore.begun",
    "restore.fetched",  # an object, from S3
    "restore.readings",  # are written, in its transaction
    "restore.taken",
    "restore.loaded",  # committed
    "restore.spans",  # are written, in the last transaction
    "restore.streams",
    "restore.rollups",
    "restore.newest",
    "restore.finished",  # committed
)


def _go_on(_point: str) -> None:
    """Nothing is armed: the way of production."""


reach: Callable[[str], None] = _go_on


def arm(spec: str) -> None:
    """spec: POINT:N kills this process when it reaches the point for the Nth time; "" leaves all as it is.

    Raises SettingsError when there is no such point.
    """
    global reach
    if not spec:
        return
    point, _, number = spec.partition(":")
    if point not in POINTS or not number.isdecimal() or int(number) < 1:
        raise SettingsError(
            f"THERMOGRAPH_FAILPOINT is {spec!r}.", f"It takes POINT:N, a point of: {', '.join(POINTS)}."
        )
    reach = _Trap(point, int(number))


class _Trap:
    """Kills its process at the Nth call with its point."""

    def __init__(self, point: str, number: int) -> None:
        self._point = point
        self._left = number

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if not self._left:
                # Windows has no SIGKILL; there SIGTERM cannot be caught either.
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
