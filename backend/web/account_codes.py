"""/account/codes: the second factor turned on, with its QR code and recovery codes, and off."""

import segno
from flask import Blueprint, Response, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from ..accounts import access, totp, users
from ..accounts.actor import Role
from ..database import Database
from ..errors import InputRefused, NotSignedIn, TooOften
from .account_page import check_again, done, page


def blueprint(database: Database) -> Blueprint:
    pages = Blueprint("codes", __name__, url_prefix="/codes")

    @pages.post("/start")
    @access.needs(Role.VIEWER)
    def start() -> ResponseReturnValue:
        try:
            check_again(g.session.user)
            with database.write() as connection:
                totp.propose(connection, users.by_id(connection, access.actor().id))
        except (InputRefused, NotSignedIn, TooOften) as error:
            return page(database, error=error)
        return redirect("/account/codes", 303)

    @pages.get("")
    @access.needs(Role.VIEWER)
    def show_secret() -> ResponseReturnValue:
        return _secret_page(database)

    @pages.post("")
    @access.needs(Role.VIEWER)
    def confirm() -> ResponseReturnValue:
        try:
            with database.write() as connection:
                user = users.by_id(connection, access.actor().id)
                codes = totp.confirm(connection, access.actor(), user, request.form.get("code", ""), users.now())
        except InputRefused as error:
            return _secret_page(database, error)
        return render_template("account_recovery.html", codes=codes)

    @pages.post("/off")
    @access.needs(Role.VIEWER)
    def turn_off() -> ResponseReturnValue:
        try:
            check_again(g.session.user)
        except (NotSignedIn, TooOften) as error:
            return page(database, error=error)
        with database.write() as connection:
            totp.turn_off(connection, access.actor(), users.by_id(connection, access.actor().id))
        return done("codes-off")

    return pages


def _secret_page(database: Database, error: InputRefused | None = None) -> ResponseReturnValue:
    with database.read() as connection:
        secret = totp.proposed(connection, access.actor().id)
    if secret is None:
        return redirect("/account", 303)
    body = render_template(
        "account_codes.html",
        picture=picture(totp.address(secret, access.actor().name)),
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        error=error,
    )
    return Response(body, error.status if error else 200)


def picture(text: str) -> Markup:
    """A QR code as SVG; black on white in the dark too, for that is what phones read."""
    code = segno.make(text, error="m", micro=False)
    # segno writes numbers and colours only, nothing of the text.
    return Markup(code.svg_inline(scale=5, border=3, dark="#000", light="#fff", title="QR code"))  # noqa: S704
