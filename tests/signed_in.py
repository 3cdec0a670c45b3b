"""Signed in for a test: a client of Flask's, or a cookie for a browser and a real server. No password is hashed.

client = signed_in.admin(app)                       # also operator(app), viewer(app, places={"kitchen"})
cookie = signed_in.cookie(database, "operator")     # .header for http clients, .name and .value for a browser
"""

import dataclasses
import time
import uuid

from flask import Flask
from flask.testing import FlaskClient

from backend.accounts import csrf, keys, sessions, tokens, users
from backend.accounts.actor import COMMAND, Role
from backend.database import Database

COOKIE = "thermograph"


@dataclasses.dataclass(frozen=True)
class Cookie:
    """header: for a client without a jar; token: what X-CSRF-Token has to say."""

    value: str
    name: str = COOKIE

    @property
    def header(self) -> dict[str, str]:
        return {"Cookie": f"{self.name}={self.value}"}

    @property
    def token(self) -> str:
        return csrf.token(self.value)


class Client(FlaskClient):
    """Sends the CSRF token with what changes something, unless the test sends headers of its own for it."""

    cookie: Cookie | None = None
    csrf = True

    def open(self, *args, **more):
        if self.cookie and self.csrf and more.get("method", "GET") not in csrf.SAFE_METHODS:
            headers = dict(more.get("headers") or {})
            headers.setdefault("X-CSRF-Token", self.cookie.token)
            more["headers"] = headers
        return super().open(*args, **more)


def now() -> int:
    return time.time_ns() // 1_000_000


def account(database: Database, role: str = "admin", places: set[str] | None = None, name: str = "") -> users.User:
    """A new account, whose password nobody knows."""
    name = name or f"{role}-{uuid.uuid4().hex[:8]}"
    with database.write() as connection:
        return users.add(connection, COMMAND, name, Role.named(role), "no password", places)


def cookie(database: Database, role: str = "admin", places: set[str] | None = None) -> Cookie:
    """Of a new account's session."""
    user = account(database, role, places)
    with database.write() as connection:
        return Cookie(sessions.begin(connection, user.id, "127.0.0.1", "a test", True, now()))


def client(app: Flask, role: str = "admin", places: set[str] | None = None) -> Client:
    found = Client(app, app.response_class, use_cookies=True)
    found.cookie = cookie(app.extensions["access"].database, role, places)
    found.set_cookie(found.cookie.name, found.cookie.value)
    return found


def admin(app: Flask) -> Client:
    return client(app, "admin")


def operator(app: Flask) -> Client:
    return client(app, "operator")


def viewer(app: Flask, places: set[str] | None = None) -> Client:
    return client(app, "viewer", places)


def key(database: Database, role: str = "admin", scopes=("readings:read",), places: set[str] | None = None) -> str:
    """An API key of a new account: Authorization: Bearer KEY."""
    user = account(database, role, places)
    with database.write() as connection:
        return keys.add(connection, COMMAND, user.id, "a test's", scopes)[1]


def token(database: Database, role: str = "admin", scopes=None, places: set[str] | None = None) -> str:
    """An access token of a new account: Authorization: Bearer TOKEN."""
    user = account(database, role, places)
    with database.write() as connection:
        return tokens.issue(connection, user, scopes, now()).access
