"""Sessions of browsers: a random token in a cookie, its SHA-256 in SQL, so that each can be listed and ended."""

import dataclasses
import hashlib
import secrets

from sqlalchemy import Connection, delete, insert, select, update

from .tables import SessionRow
from .users import User, by_id

MINUTE, HOUR = 60_000, 3_600_000
# Between the password and the TOTP code.
UNVERIFIED_FOR = 5 * MINUTE
# How exactly the last use is known: not every request is worth a write.
SEEN_EVERY = 5 * MINUTE


@dataclasses.dataclass(frozen=True)
class Lifetime:
    """idle, longest: milliseconds after the last use, and after sign-in, at which a session has ended."""

    idle: int
    longest: int


@dataclasses.dataclass(frozen=True)
class Session:
    id: int
    user: User
    verified: bool
    created: int
    seen: int
    address: str
    agent: str


def begin(connection: Connection, user_id: int, address: str, agent: str, verified: bool, at: int) -> str:
    """Its token, which only the browser keeps."""
    token = secrets.token_urlsafe(32)
    row = {
        "hash": digest(token),
        "user_id": user_id,
        "verified": verified,
        "created": at,
        "seen": at,
        "address": address[:64],
        "agent": "".join(letter for letter in agent if letter.isprintable())[:200],
    }
    connection.execute(insert(SessionRow).values(row))
    return token


def find(connection: Connection, token: str, lifetime: Lifetime, at: int) -> Session | None:
    """None: no such session, or it has ended, or its account is disabled."""
    row = connection.execute(select(SessionRow.__table__).where(SessionRow.hash == digest(token))).one_or_none()
    if row is None:
        return None
    longest = lifetime.longest if row.verified else UNVERIFIED_FOR
    if at - row.created > longest or at - row.seen > lifetime.idle:
        return None
    user = by_id(connection, row.user_id)
    if user.disabled_at is not None:
        return None
    return Session(row.id, user, row.verified, row.created, row.seen, row.address, row.agent)


def of_user(connection: Connection, user_id: int, lifetime: Lifetime, at: int) -> list[Session]:
    """Those that live, the last used first."""
    user = by_id(connection, user_id)
    living = (SessionRow.created > at - lifetime.longest, SessionRow.seen > at - lifetime.idle, SessionRow.verified)
    query = select(SessionRow.__table__).where(SessionRow.user_id == user_id, *living).order_by(SessionRow.seen.desc())
    return [
        Session(row.id, user, row.verified, row.created, row.seen, row.address, row.agent)
        for row in connection.execute(query)
    ]


def touch(connection: Connection, session_id: int, at: int) -> None:
    connection.execute(update(SessionRow).where(SessionRow.id == session_id).values(seen=at))


def end(connection: Connection, session_id: int) -> None:
    connection.execute(delete(SessionRow).where(SessionRow.id == session_id))


def end_of_user(connection: Connection, user_id: int, session_id: int | None = None) -> int:
    """End one session of the account, or all of them; how many there were."""
    chosen = delete(SessionRow).where(SessionRow.user_id == user_id)
    return connection.execute(chosen if session_id is None else chosen.where(SessionRow.id == session_id)).rowcount


def sweep(connection: Connection, lifetime: Lifetime, at: int) -> None:
    """Remove what has ended."""
    over = (SessionRow.created < at - lifetime.longest) | (SessionRow.seen < at - lifetime.idle)
    connection.execute(delete(SessionRow).where(over))


def digest(token: str) -> str:
    """A random token of 256 bits needs no slow hash: nobody can go through them all."""
    return hashlib.sha256(token.encode()).hexdigest()
