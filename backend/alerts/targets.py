"""Targets: whom to tell, and how. A removed one stays in SQL without its secret, for the log of what was told."""

import dataclasses
import secrets
import time
from typing import Any

from sqlalchemy import Connection, select, update

from ..database import insert_one
from ..errors import NotFound, ThermographError
from ..notify import ways
from ..notify.notice import Notice
from .sentence import moment
from .tables import AlertTarget

OUTCOME_LENGTH = 500


@dataclasses.dataclass(frozen=True)
class TargetEntry:
    """tested_at (Unix ms), test_outcome: of the last test. A secret is never shown again."""

    id: int
    kind: str
    address: str
    tested_at: int | None
    test_outcome: str | None
    removed_at: int | None

    @property
    def shown(self) -> str:
        """For people. A webhook's path may be its secret."""
        if self.kind == "webhook":
            scheme, _, rest = self.address.partition("://")
            host, slash, path = rest.partition("/")
            return f"{scheme}://{host}{slash}{'…' if path else ''}"
        return f"Home Assistant ({self.address})" if self.kind == "hass" else self.address


def add_target(connection: Connection, kind: str, address: str) -> tuple[int, str]:
    """Its id, and a webhook's secret, which is shown this once. Raises SettingsError."""
    address, secret = ways.check(kind, address), secrets.token_urlsafe(32) if kind == "webhook" else ""
    values = {"kind": kind, "address": address, "secret": secret, "created": _now()}
    return insert_one(connection, AlertTarget, values), secret


def targets(connection: Connection, removed: bool = False) -> list[TargetEntry]:
    """By kind and address. removed: also those that nobody is told by any more."""
    query = select(AlertTarget).order_by(AlertTarget.kind, AlertTarget.address, AlertTarget.id)
    if not removed:
        query = query.where(AlertTarget.removed_at.is_(None))
    return [_entry(row) for row in connection.execute(query)]


def target(connection: Connection, target_id: int) -> TargetEntry:
    """Raises NotFound."""
    return _entry(_row(connection, target_id))


def remove_target(connection: Connection, target_id: int) -> None:
    """Nobody is told by it any more; what was on its way to it is given up. Raises NotFound."""
    _row(connection, target_id)
    connection.execute(update(AlertTarget).where(AlertTarget.id == target_id).values(removed_at=_now(), secret=""))


def try_target(connection: Connection, target_id: int, how: ways.Ways, who: str) -> str:
    """Tell it now that this is a test; what came of it, in words. Raises NotFound.

    Give a connection of Database.read(): the network may take its time, and no lock is held for it.
    """
    row = _row(connection, target_id)
    now = _now()
    notice = Notice(
        id=f"test-{target_id}-{now}",
        phase="test",
        severity="info",
        device="",
        sensor="",
        title="Thermograph: a test",
        text=f"{who} pressed Test. If you can read this, alerts reach you here.",
        start=moment(now),
        at=moment(now),
        name="Test",
    )
    try:
        how.tell(row.kind, row.address, row.secret, notice)
    except ThermographError as error:
        return f"failed: {error.message}"[:OUTCOME_LENGTH]
    return "delivered"


def note_test(connection: Connection, target_id: int, outcome: str) -> None:
    connection.execute(
        update(AlertTarget).where(AlertTarget.id == target_id).values(tested_at=_now(), test_outcome=outcome)
    )


def _row(connection: Connection, target_id: int) -> Any:
    row = connection.execute(
        select(AlertTarget).where(AlertTarget.id == target_id, AlertTarget.removed_at.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no target {target_id}.", "Add it first.")
    return row


def _entry(row: Any) -> TargetEntry:
    return TargetEntry(row.id, row.kind, row.address, row.tested_at, row.test_outcome, row.removed_at)


def _now() -> int:
    return time.time_ns() // 1_000_000
