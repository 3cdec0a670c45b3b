"""The audit log: one row a change, in the change's own transaction. Nothing here changes or removes a row."""

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from .actor import Actor
from .tables import AuditRow

MASK = "***"
# Words that make the value of a field a secret.
SECRET = ("password", "secret", "token", "hash", "recovery", "cookie", "authorization")
LONGEST_TEXT = 2_000

Fields = Mapping[str, Any] | None


def note(connection: Connection, actor: Actor, action: str, subject: str, before: Fields, after: Fields) -> None:
    """Note that actor did `action` ("rule.change") to `subject` ("rule 7").

    before, after: the fields that matter, None where there was or is nothing. A field whose name speaks of a secret
    is masked, at any depth.
    """
    row = {
        "at": time.time_ns() // 1_000_000,
        "kind": actor.kind,
        "actor_id": actor.id,
        "actor": actor.name,
        "credential": actor.credential[:64],
        "action": action[:64],
        "subject": subject[:200],
        "before": _text(before),
        "after": _text(after),
    }
    connection.execute(insert(AuditRow).values(row))


def masked(value: Any) -> Any:
    """The same without secrets, and with long texts cut."""
    if isinstance(value, Mapping):
        return {str(key): MASK if _is_secret(str(key)) and item else masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in value]
    return value[:LONGEST_TEXT] if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET)


def _text(fields: Fields) -> str | None:
    return None if fields is None else json.dumps(masked(fields), ensure_ascii=False, sort_keys=True, default=str)
