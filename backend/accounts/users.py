"""Accounts in SQL. Every change is noted in the audit log, in the same transaction."""

import dataclasses
import json
import re
import time
from collections.abc import Collection

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ..errors import AlreadyThere, InputRefused, NotFound
from ..models import Progress
from . import audit
from .actor import Actor, Kind, Role
from .tables import ApiKey, RecoveryCode, RefreshToken, SessionRow, UserRow

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
LONGEST_PLACE, MOST_PLACES = 120, 200


@dataclasses.dataclass(frozen=True)
class User:
    """password: its hash. places: None: all. totp: a second factor is asked for."""

    id: int
    name: str
    password: str = dataclasses.field(repr=False)
    role: Role
    places: frozenset[str] | None
    created: int
    disabled_at: int | None
    totp: bool

    def fields(self) -> dict[str, object]:
        """What the audit log tells of it."""
        places = None if self.places is None else sorted(self.places)
        return {"role": self.role.word, "places": places, "disabled": self.disabled_at is not None, "totp": self.totp}


def normal_name(name: str) -> str:
    """As names are kept. Raises InputRefused."""
    name = name.strip().lower()
    if not NAME.fullmatch(name):
        raise InputRefused(
            "An account's name has 1 to 64 of a-z, 0-9 and . _ @ + -, and begins with a letter or digit."
        )
    return name


def anyone(connection: Connection) -> bool:
    """Is there any account?"""
    return connection.scalar(select(UserRow.id).limit(1)) is not None


def everyone(connection: Connection) -> list[User]:
    return [_user(row) for row in connection.execute(select(UserRow.__table__).order_by(UserRow.name))]


def find(connection: Connection, name: str) -> User | None:
    return _found(connection, UserRow.name == name.strip().lower())


def by_id(connection: Connection, user_id: int) -> User:
    """Raises NotFound."""
    user = _found(connection, UserRow.id == user_id)
    if user is None:
        raise NotFound(f"There is no account {user_id}.")
    return user


def named(connection: Connection, name: str) -> User:
    """Raises NotFound."""
    user = find(connection, name)
    if user is None:
        raise NotFound(f"There is no account {name}.", "python -m backend account list shows all.")
    return user


def add(
    connection: Connection, actor: Actor, name: str, role: Role, password: str, places: Collection[str] | None = None
) -> User:
    """password: its hash. Raises AlreadyThere, InputRefused."""
    name = normal_name(name)
    if find(connection, name):
        raise AlreadyThere(f"There is an account {name} already.")
    row = {
        "name": name,
        "password": password,
        "role": role.word,
        "places": _places_text(places),
        "created": now(),
        "totp_step": 0,
    }
    connection.execute(insert(UserRow).values(row))
    user = named(connection, name)
    audit.note(connection, actor, "account.add", subject(user), None, user.fields())
    return user


def add_first(connection: Connection, name: str, password: str) -> User:
    """The first account, an admin. Raises AlreadyThere when there is one: of two at once, one comes second."""
    # A lock that every database has: the one row that all changes know. The reads come after it.
    connection.execute(update(Progress).values(commit=Progress.commit))
    if anyone(connection):
        raise AlreadyThere("There is an account already.", "Sign in, or ask who has it.")
    name = normal_name(name)
    return add(connection, Actor("session", 0, name, Role.ADMIN, credential="welcome"), name, Role.ADMIN, password)


def change(
    connection: Connection, actor: Actor, user: User, *, role: Role, places: Collection[str] | None, disabled: bool
) -> User:
    """Set role, places and whether it may sign in. Raises InputRefused, AlreadyThere for the last admin."""
    if user.role is Role.ADMIN and user.disabled_at is None and (role is not Role.ADMIN or disabled):
        _need_another_admin(connection, user)
    since = (user.disabled_at or now()) if disabled else None
    values = {"role": role.word, "places": _places_text(places), "disabled_at": since}
    connection.execute(update(UserRow).where(UserRow.id == user.id).values(values))
    if disabled:
        revoke(connection, user.id)
    changed = by_id(connection, user.id)
    if changed.fields() != user.fields():
        audit.note(connection, actor, "account.change", subject(user), user.fields(), changed.fields())
    return changed


def set_password(connection: Connection, actor: Actor, user: User, password: str, keep_session: int = 0) -> None:
    """password: its hash. Ends every session but keep_session, and every refresh token."""
    connection.execute(update(UserRow).where(UserRow.id == user.id).values(password=password))
    connection.execute(delete(SessionRow).where(SessionRow.user_id == user.id, SessionRow.id != keep_session))
    connection.execute(delete(RefreshToken).where(RefreshToken.user_id == user.id))
    audit.note(connection, actor, "account.password", subject(user), {"password": "old"}, {"password": "new"})


def rehash(connection: Connection, user: User, password: str) -> None:
    """The same password, hashed with today's costs."""
    connection.execute(update(UserRow).where(UserRow.id == user.id).values(password=password))


def remove(connection: Connection, actor: Actor, user: User) -> None:
    """With all that belongs to it; the audit log keeps its name. Raises AlreadyThere for the last admin."""
    if user.role is Role.ADMIN and user.disabled_at is None:
        _need_another_admin(connection, user)
    revoke(connection, user.id)
    for table in (ApiKey, RecoveryCode):
        connection.execute(delete(table).where(table.user_id == user.id))
    connection.execute(delete(UserRow).where(UserRow.id == user.id))
    audit.note(connection, actor, "account.remove", subject(user), user.fields(), None)


def revoke(connection: Connection, user_id: int) -> None:
    """End every session and every refresh token of an account."""
    for table in (SessionRow, RefreshToken):
        connection.execute(delete(table).where(table.user_id == user_id))


def subject(user: User) -> str:
    return f"account {user.name}"


def actor_of(user: User, kind: Kind = "session", scopes: frozenset[str] | None = None, credential: str = "") -> Actor:
    """The account as one who asks. An admin sees every place."""
    places = None if user.role is Role.ADMIN else user.places
    return Actor(kind, user.id, user.name, user.role, places, scopes, credential)


def now() -> int:
    return time.time_ns() // 1_000_000


def _found(connection: Connection, condition: object) -> User | None:
    row = connection.execute(select(UserRow.__table__).where(condition)).one_or_none()  # type: ignore[arg-type]
    return _user(row) if row else None


def _user(row: Row) -> User:
    return User(
        id=row.id,
        name=row.name,
        password=row.password,
        role=Role.named(row.role),
        places=None if row.places is None else frozenset(json.loads(row.places)),
        created=row.created,
        disabled_at=row.disabled_at,
        totp=row.totp_since is not None,
    )


def _places_text(places: Collection[str] | None) -> str | None:
    if places is None:
        return None
    names = sorted({place.strip() for place in places} - {""})
    if len(names) > MOST_PLACES or any(len(name) > LONGEST_PLACE or not name.isprintable() for name in names):
        raise InputRefused(f"Places are at most {MOST_PLACES} names of up to {LONGEST_PLACE} characters.")
    return json.dumps(names, ensure_ascii=False)


def _need_another_admin(connection: Connection, user: User) -> None:
    others = (UserRow.role == Role.ADMIN.word, UserRow.disabled_at.is_(None), UserRow.id != user.id)
    if not connection.scalar(select(func.count()).select_from(UserRow).where(*others)):
        raise AlreadyThere(f"{user.name} is the last admin.", "Make another account an admin first.")
