"""The account page itself, as it is shown after whatever was asked of it."""

from flask import Response, g, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from ..accounts import access, keys, sessions, users
from ..accounts.actor import SCOPES
from ..accounts.users import User
from ..alerts.sentence import moment
from ..database import Database
from ..errors import ThermographError, TooOften

DONE = {
    "password": "The password is changed; you are signed out everywhere else.",
    "session": "That browser is signed out.",
    "codes-off": "No code is asked for any more.",
    "key": "The key is revoked.",
}


def page(database: Database, error: ThermographError | None = None, new_key: str = "") -> Response:
    """error: why the last wish was refused; new_key: shown this once."""
    held, actor = access.guard(), access.actor()
    with database.read() as connection:
        user = users.by_id(connection, actor.id)
        living = sessions.of_user(connection, actor.id, held.lifetime, users.now())
        mine = [key for key in keys.of_user(connection, actor.id) if key.revoked_at is None]
    body = render_template(
        "account.html",
        user=user,
        sessions=living,
        this_session=g.session.id,
        keys=mine,
        scopes=SCOPES,
        moment=moment,
        told=DONE.get(request.args.get("done", "")),
        error=error,
        new_key=new_key,
    )
    return Response(body, error.status if error else 200, error.headers if isinstance(error, TooOften) else None)


def done(what: str) -> AnyResponse:
    """Back to the page, which then says so; a reload changes nothing again."""
    return redirect(f"/account?done={what}", 303)


def check_again(user: User) -> None:
    """The password, asked again where a browser left open must not be enough. Raises NotSignedIn, TooOften."""
    held = access.guard()
    held.sign_in.with_password(user.name, request.form.get("current", ""), held.address)
