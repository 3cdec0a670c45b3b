"""GET, POST /sign-in and /sign-in/code, POST /sign-out: how a person gets in, and out."""

from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from ..accounts import access, audit, users
from ..accounts.users import User, actor_of, subject
from ..database import Database
from ..errors import NotSignedIn, TooOften
from .welcome import may_welcome

COMMAND = "python -m backend account add NAME --role admin"


def blueprint(database: Database) -> Blueprint:
    pages = Blueprint("sign_in", __name__)

    @pages.get("/sign-in")
    @access.open_to_all
    def show_form() -> ResponseReturnValue:
        if access.visitor():
            return redirect(_next(), 303)
        with database.read() as connection:
            anyone = users.anyone(connection)
        if not anyone and may_welcome(access.guard()):
            return redirect("/welcome", 303)
        return render_template("sign_in.html", name="", next=_next(), command=None if anyone else COMMAND)

    @pages.post("/sign-in")
    @access.open_to_all
    def check_password() -> ResponseReturnValue:
        name, password = request.form.get("name", ""), request.form.get("password", "")
        held = access.guard()
        try:
            user = held.sign_in.with_password(name, password, held.address)
        except (NotSignedIn, TooOften) as error:
            page = render_template("sign_in.html", name=name, next=_next(), error=error)
            return Response(page, error.status, error.headers if isinstance(error, TooOften) else {})
        if user.totp:
            return held.start_session(redirect(_code_page(), 303), user.id, verified=False)
        return _enter(user)

    @pages.get("/sign-in/code")
    @access.open_to_all
    def show_code_form() -> ResponseReturnValue:
        if _half_in() is None:
            return redirect("/sign-in", 303)
        return render_template("sign_in_code.html", next=_next())

    @pages.post("/sign-in/code")
    @access.open_to_all
    def check_code() -> ResponseReturnValue:
        user, held = _half_in(), access.guard()
        if user is None:
            return redirect("/sign-in", 303)
        try:
            held.sign_in.with_code(user, request.form.get("code", ""), held.address)
        except (NotSignedIn, TooOften) as error:
            page = render_template("sign_in_code.html", next=_next(), error=error)
            return Response(page, error.status, error.headers if isinstance(error, TooOften) else {})
        return _enter(user)

    @pages.post("/sign-out")
    @access.open_to_all
    def sign_out() -> ResponseReturnValue:
        return access.guard().end_session(redirect("/sign-in", 303))

    def _enter(user: User) -> AnyResponse:
        held = access.guard()
        with database.write() as connection:
            audit.note(connection, actor_of(user, credential=held.address), "sign-in", subject(user), None, None)
        return held.start_session(redirect(_next(), 303), user.id, verified=True)

    return pages


def _half_in() -> User | None:
    """Whose password was right, and whose code is still missing."""
    return g.session.user if g.session and not g.session.verified else None


def _next() -> str:
    """Where to go then: a path of ours, never another site, as those who fish for passwords would like."""
    asked = request.values.get("next", "/")
    parts = urlsplit(asked)
    plain = asked.isprintable() and "\\" not in asked and not asked.startswith("//")
    return asked if plain and asked.startswith("/") and not parts.scheme and not parts.netloc else "/"


def _code_page() -> str:
    return f"/sign-in/code?next={quote(_next())}"
