"""Finds out who asks, and refuses: before each request, for each endpoint what it declared."""

import contextlib
import dataclasses
import secrets
from urllib.parse import quote, urlsplit

from flask import Flask, g, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from ..database import Database
from ..errors import DatabaseUnavailable, NotAllowed, NotFound, NotSignedIn, TooOften
from ..limits import Limits
from ..settings import Settings
from . import csrf, keys, sessions, tokens, users
from .actor import Actor, Role
from .keys import Key
from .passwords import Passwords
from .sessions import HOUR, Lifetime, Session
from .sign_in import SignIn, network

FOR_PROGRAMS = ("/api/v1", "/healthz", "/readyz", "/metrics")
FORM_COOKIE = "thermograph-form"
# Wrong keys and tokens from one address.
WRONG_BEARERS = (30, 60.0)


@dataclasses.dataclass(frozen=True)
class Need:
    """What an endpoint needs. role None: nothing. scope None: not for keys and tokens."""

    role: Role | None
    scope: str | None


@dataclasses.dataclass(frozen=True)
class Found:
    """Who asks. session: of the cookie, also while its code is still missing (then actor is None)."""

    actor: Actor | None = None
    session: Session | None = None
    key: Key | None = None


class Guard:
    """What the app keeps of accounts: app.extensions["access"]."""

    def __init__(self, database: Database, settings: Settings, limits: Limits) -> None:
        self.database = database
        self.settings = settings
        self.limits = limits
        self.passwords = Passwords(settings.password_memory)
        self.sign_in = SignIn(database, self.passwords, limits)
        self.lifetime = Lifetime(int(settings.session_idle * HOUR), int(settings.session_longest * HOUR))
        self.secure = settings.web_url.startswith("https://")
        # The prefix makes browsers refuse the cookie from anybody but this very host, by TLS.
        self.cookie = "__Host-thermograph" if self.secure else "thermograph"
        self._form_cookie = "__Host-" + FORM_COOKIE if self.secure else FORM_COOKIE
        self._needs: dict[str, Need] = {}

    def register(self, app: Flask) -> None:
        app.extensions["access"] = self
        app.before_request(self._admit)
        app.after_request(self._keep_form_cookie)
        app.context_processor(lambda: {"csrf_token": self.csrf_token, "visitor": lambda: g.get("actor")})

    def enforce(self, needs: dict[str, Need]) -> None:
        self._needs = needs

    def identify(self, authorization: str, cookie: str) -> Found:
        """Who these credentials belong to. A key or token goes before the cookie."""
        at = users.now()
        with self.database.read() as connection:
            if authorization:
                return _bearer(connection, authorization, at)
            session = sessions.find(connection, cookie, self.lifetime, at) if cookie else None
        if session is None or not session.verified:
            return Found(None, session)
        return Found(users.actor_of(session.user, credential=f"session {session.id}"), session)

    def start_session(self, response: Response, user_id: int, verified: bool) -> Response:
        """A new session in the answer's cookie; the one that this browser had ends: nobody can have prepared it."""
        at = users.now()
        with self.database.write() as connection:
            sessions.sweep(connection, self.lifetime, at)
            if g.get("session"):
                sessions.end(connection, g.session.id)
            agent = request.headers.get("User-Agent", "")
            token = sessions.begin(connection, user_id, self.address, agent, verified, at)
        self._set_cookie(response, self.cookie, token, self.lifetime.longest // 1000)
        return response

    def end_session(self, response: Response) -> Response:
        if g.get("session"):
            with self.database.write() as connection:
                sessions.end(connection, g.session.id)
        self._set_cookie(response, self.cookie, "", 0)
        return response

    def csrf_token(self) -> str:
        """For a form, or the header X-CSRF-Token of a script."""
        if g.get("session"):
            return csrf.token(request.cookies.get(self.cookie, ""))
        if not g.get("form_cookie"):
            g.form_cookie = request.cookies.get(self._form_cookie, "") or secrets.token_urlsafe(24)
        return csrf.token(g.form_cookie)

    @property
    def address(self) -> str:
        """Where the request comes from; behind web_proxy what that says."""
        return request.remote_addr or "unknown"

    def _admit(self) -> ResponseReturnValue | None:
        self._remember(Found())
        authorization, cookie = request.headers.get("Authorization", ""), request.cookies.get(self.cookie, "")
        if request.routing_exception is not None:
            # What is not there has no rules; its page still greets who is signed in.
            with contextlib.suppress(DatabaseUnavailable):
                self._remember(self.identify("", cookie))
            return None
        need = self._needs[request.endpoint or ""]
        if need.role is None:
            self._admit_anybody(cookie)
            return None
        self._remember(self.identify(authorization, cookie))
        if g.actor is None:
            return self._refuse_stranger(authorization)
        self._check_rate(g.actor)
        if not authorization:
            self._check_csrf(cookie)
        if not g.actor.may(need.role):
            raise NotAllowed(f"This needs the role {need.role.word}; {g.actor.name} is {g.actor.role.word}.")
        if not g.actor.has(need.scope):
            needed = f"the scope {need.scope}" if need.scope else "somebody signed in at a browser"
            raise NotAllowed(f"This needs {needed}.")
        self._note_use()
        return None

    def _admit_anybody(self, cookie: str) -> None:
        # The API's open endpoints never look at cookies, files need nobody, and health must not wait for SQL.
        if request.endpoint == "static" or request.path.startswith(FOR_PROGRAMS):
            return
        self._remember(self.identify("", cookie))
        self._check_csrf(cookie)

    def _remember(self, found: Found) -> None:
        g.actor, g.session, g.key = found.actor, found.session, found.key

    def _refuse_stranger(self, authorization: str) -> ResponseReturnValue:
        if authorization:
            wait = self.limits.hit(f"bearer/{network(self.address)}", *WRONG_BEARERS)
            if wait:
                raise TooOften("Too many wrong keys from this address.", wait)
            raise NotSignedIn("This key or token is not known, or has ended.", "Make another one on the account page.")
        if request.path.startswith(FOR_PROGRAMS):
            raise NotSignedIn("This needs credentials.", "Send a key or a token: Authorization: Bearer ...")
        asked = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return redirect("/sign-in" if asked == "/" else f"/sign-in?next={quote(asked)}", 303)

    def _check_rate(self, actor: Actor) -> None:
        most = self.settings.api_rate
        if most and request.path.startswith("/api/"):
            wait = self.limits.hit(f"api/{actor.id}", most, 60.0)
            if wait:
                raise TooOften("Too many requests of this account.", wait)

    def _check_csrf(self, cookie: str) -> None:
        if request.method in csrf.SAFE_METHODS:
            return
        held = cookie if g.session else request.cookies.get(self._form_cookie, "")
        given = request.headers.get("X-CSRF-Token", "") or request.form.get("csrf_token", "")
        hosts = {request.host} | ({urlsplit(self.settings.web_url).netloc} if self.settings.web_url else set())
        site, origin = request.headers.get("Sec-Fetch-Site", ""), request.headers.get("Origin", "")
        if not csrf.is_ours(held, given, site, origin, hosts):
            raise NotAllowed("This did not come from a page of ours, or the page is old.", "Load the page again.")

    def _note_use(self) -> None:
        """When session and key were last used; not worth a wait, so it is skipped while the database is busy."""
        at, key = users.now(), g.key
        with contextlib.suppress(DatabaseUnavailable):
            if g.session and at - g.session.seen > sessions.SEEN_EVERY:
                with self.database.write() as connection:
                    sessions.touch(connection, g.session.id, at)
            if key and at - (key.used or 0) > keys.USED_EVERY:
                with self.database.write() as connection:
                    keys.touch(connection, key.id, at)

    def _keep_form_cookie(self, response: Response) -> Response:
        if g.get("form_cookie") and request.cookies.get(self._form_cookie) != g.form_cookie:
            self._set_cookie(response, self._form_cookie, g.form_cookie, None)
        return response

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="Lax")


def _bearer(connection: Connection, authorization: str, at: int) -> Found:
    """Whose key or token it is."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return Found()
    key = keys.authenticate(connection, text.strip(), at)
    claims = None if key else tokens.read(connection, text.strip())
    with contextlib.suppress(NotFound):
        if key and (user := users.by_id(connection, key.user_id)).disabled_at is None:
            return Found(users.actor_of(user, "key", key.scopes, f"key {key.prefix}"), None, key)
        if claims and (user := users.by_id(connection, claims.user_id)).disabled_at is None:
            return Found(users.actor_of(user, "token", claims.scopes, f"token {claims.jti}"))
    return Found()
