"""API keys of programs: shown once, kept as a hash, limited to scopes, revocable."""

import dataclasses
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection

from sqlalchemy import Connection, Row, insert, select, update

from ..errors import InputRefused, NotFound
from . import audit
from .actor import SCOPES, Actor
from .tables import ApiKey
from .users import by_id, now

# The prefix lets scanners of public code find a key that was committed by mistake.
FORM = re.compile(r"thermograph_([a-z0-9]{10})_([A-Za-z0-9_-]{43})")
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
MOST_OF_USER = 100
USED_EVERY = 60_000


@dataclasses.dataclass(frozen=True)
class Key:
    id: int
    prefix: str
    user_id: int
    name: str
    scopes: frozenset[str]
    created: int
    expires: int | None
    used: int | None
    revoked_at: int | None


def add(
    connection: Connection, actor: Actor, user_id: int, name: str, scopes: Collection[str], expires: int | None = None
) -> tuple[Key, str]:
    """The key, and its text, which is shown this once. Raises InputRefused, NotFound."""
    user, name = by_id(connection, user_id), name.strip()
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise InputRefused("A key's name has 1 to 120 characters in one line.")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InputRefused("A key needs at least one scope.", f"There are: {', '.join(SCOPES)}.")
    if len([key for key in of_user(connection, user_id) if key.revoked_at is None]) >= MOST_OF_USER:
        raise InputRefused(f"An account has at most {MOST_OF_USER} keys.", "Revoke one first.")
    prefix = "".join(secrets.choice(ALPHABET) for _ in range(10))
    text = f"thermograph_{prefix}_{secrets.token_urlsafe(32)}"
    row = {
        "prefix": prefix,
        "hash": _digest(text),
        "user_id": user_id,
        "name": name,
        "scopes": json.dumps(sorted(set(scopes))),
        "created": now(),
        "expires": expires,
    }
    connection.execute(insert(ApiKey).values(row))
    key = _one(connection, ApiKey.prefix == prefix)
    about = {"account": user.name, "name": name, "scopes": sorted(key.scopes), "expires": expires}
    audit.note(connection, actor, "key.add", f"key {prefix}", None, about)
    return key, text


def authenticate(connection: Connection, text: str, at: int) -> Key | None:
    """The key that this is, unless it was revoked or has expired."""
    form = FORM.fullmatch(text)
    row = connection.execute(select(ApiKey.__table__).where(ApiKey.prefix == form[1])).one_or_none() if form else None
    if row is None or not hmac.compare_digest(row.hash, _digest(text)):
        return None
    return None if row.revoked_at is not None or (row.expires or at) < at else _key(row)


def touch(connection: Connection, key_id: int, at: int) -> None:
    connection.execute(update(ApiKey).where(ApiKey.id == key_id).values(used=at))


def of_user(connection: Connection, user_id: int | None = None) -> list[Key]:
    """Of one account, or of all; the newest first."""
    query = select(ApiKey.__table__).order_by(ApiKey.id.desc())
    return [
        _key(row) for row in connection.execute(query if user_id is None else query.where(ApiKey.user_id == user_id))
    ]


def revoke(connection: Connection, actor: Actor, key_id: int, user_id: int | None = None) -> None:
    """user_id: only if it is this account's. Raises NotFound. A revoked key stays listed."""
    key = _one(connection, ApiKey.id == key_id)
    if user_id is not None and key.user_id != user_id:
        raise NotFound("There is no such key.")
    if key.revoked_at is None:
        connection.execute(update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=now()))
        audit.note(connection, actor, "key.revoke", f"key {key.prefix}", {"name": key.name}, None)


def _one(connection: Connection, condition: object) -> Key:
    row = connection.execute(select(ApiKey.__table__).where(condition)).one_or_none()  # type: ignore[arg-type]
    if row is None:
        raise NotFound("There is no such key.")
    return _key(row)


def _key(row: Row) -> Key:
    scopes = frozenset(json.loads(row.scopes))
    return Key(row.id, row.prefix, row.user_id, row.name, scopes, row.created, row.expires, row.used, row.revoked_at)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
