"""Access tokens (JWT, RFC 7519) for programs, and the refresh tokens that they are renewed by.

An access token lives 15 minutes and is signed with HS256, whatever its header says. A refresh token is exchanged once;
one that comes a second time was stolen, from whom it came first or second: then the whole family ends.
"""

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Collection

import jwt
from sqlalchemy import Connection, delete, insert, select, update

from ..errors import InputRefused
from . import audit
from .actor import SCOPES
from .tables import RefreshToken, SigningKey
from .users import User, actor_of, by_id

ALGORITHM = "HS256"
ISSUER, AUDIENCE = "thermograph", "thermograph-api"
ACCESS_FOR = 15 * 60_000
REFRESH_FOR = 30 * 86_400_000
KEY_SIGNS_FOR = 30 * 86_400_000
CLAIMS = ["exp", "iat", "aud", "iss", "sub", "jti"]


@dataclasses.dataclass(frozen=True)
class Pair:
    """expires_in: seconds that the access token lives."""

    access: str = dataclasses.field(repr=False)
    refresh: str = dataclasses.field(repr=False)
    expires_in: int = ACCESS_FOR // 1000


@dataclasses.dataclass(frozen=True)
class Claims:
    user_id: int
    scopes: frozenset[str] | None
    jti: str


def issue(connection: Connection, user: User, scopes: Collection[str] | None, at: int) -> Pair:
    """A new family. scopes: None: all that the account may. Raises InputRefused."""
    if scopes is not None and not set(scopes) <= set(SCOPES):
        raise InputRefused("There is no such scope.", f"There are: {', '.join(SCOPES)}.")
    audit.note(connection, actor_of(user, "token"), "token.issue", f"account {user.name}", None, {"scopes": scopes})
    return _pair(connection, user, None if scopes is None else frozenset(scopes), secrets.token_hex(16), at)


def exchange(connection: Connection, refresh: str, at: int) -> Pair | None:
    """The next pair of the family. None: refused; what that changed has to be committed all the same."""
    query = select(RefreshToken.__table__).where(RefreshToken.hash == _digest(refresh))
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    mine = (RefreshToken.id == row.id, RefreshToken.used_at.is_(None), RefreshToken.revoked_at.is_(None))
    # Of two that come at once only one changes the row.
    if not connection.execute(update(RefreshToken).where(*mine).values(used_at=at)).rowcount:
        _end_family(connection, row.family, row.user_id, at)
        return None
    user = by_id(connection, row.user_id)
    if row.expires < at or user.disabled_at is not None:
        return None
    scopes = None if row.scopes is None else frozenset(json.loads(row.scopes))
    return _pair(connection, user, scopes, row.family, at)


def revoke(connection: Connection, refresh: str, at: int) -> None:
    """End the family of a refresh token; one that is not known is as good as ended."""
    row = connection.execute(select(RefreshToken.family).where(RefreshToken.hash == _digest(refresh))).one_or_none()
    if row:
        connection.execute(update(RefreshToken).where(RefreshToken.family == row.family).values(revoked_at=at))


def read(connection: Connection, access: str) -> Claims | None:
    """What an access token says, if it is one of ours and still lives."""
    try:
        kid = jwt.get_unverified_header(access).get("kid")
        secret = connection.scalar(select(SigningKey.secret).where(SigningKey.kid == str(kid)[:16]))
        if secret is None:
            return None
        claims = jwt.decode(
            access,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": CLAIMS},
        )
        scopes = claims.get("scope")
        return Claims(int(claims["sub"]), None if scopes is None else frozenset(scopes.split()), claims["jti"])
    except (jwt.InvalidTokenError, ValueError, AttributeError):
        return None


def rotate(connection: Connection, at: int) -> str:
    """A new signing key; those that no living token can be signed with go. Its id."""
    kid = secrets.token_hex(8)
    connection.execute(insert(SigningKey).values(kid=kid, secret=secrets.token_bytes(32), created=at))
    newest = select(SigningKey.created).where(SigningKey.kid != kid).order_by(SigningKey.created.desc()).limit(1)
    before = connection.scalar(newest)
    # The one before may have signed until this moment; those before it have not since it was made.
    if before is not None and at - before > ACCESS_FOR:
        connection.execute(delete(SigningKey).where(SigningKey.created < before))
    return kid


def _pair(connection: Connection, user: User, scopes: frozenset[str] | None, family: str, at: int) -> Pair:
    refresh = secrets.token_urlsafe(32)
    row = {
        "hash": _digest(refresh),
        "family": family,
        "user_id": user.id,
        "scopes": None if scopes is None else json.dumps(sorted(scopes)),
        "created": at,
        "expires": at + REFRESH_FOR,
    }
    connection.execute(delete(RefreshToken).where(RefreshToken.expires < at))
    connection.execute(insert(RefreshToken).values(row))
    return Pair(_sign(connection, user, scopes, at), refresh)


def _sign(connection: Connection, user: User, scopes: frozenset[str] | None, at: int) -> str:
    key = connection.execute(select(SigningKey.__table__).order_by(SigningKey.created.desc()).limit(1)).one_or_none()
    if key is None or at - key.created > KEY_SIGNS_FOR:
        kid = rotate(connection, at)
        key = connection.execute(select(SigningKey.__table__).where(SigningKey.kid == kid)).one()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user.id),
        "iat": at // 1000,
        "exp": (at + ACCESS_FOR) // 1000,
        "jti": secrets.token_hex(8),
    }
    if scopes is not None:
        claims["scope"] = " ".join(sorted(scopes))
    return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid})


def _end_family(connection: Connection, family: str, user_id: int, at: int) -> None:
    living = (RefreshToken.family == family, RefreshToken.revoked_at.is_(None))
    if connection.execute(update(RefreshToken).where(*living).values(revoked_at=at)).rowcount:
        user = by_id(connection, user_id)
        actor = actor_of(user, "token", credential=f"family {family[:8]}")
        audit.note(connection, actor, "token.reuse", f"account {user.name}", None, {"family": "ended"})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
