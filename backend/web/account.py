"""GET /account: a person's own password and sessions; account_codes.py and account_keys.py have the rest."""

from flask import Blueprint, g, redirect, request
from flask.typing import ResponseReturnValue

from ..accounts import access, audit, passwords, sessions, users
from ..accounts.actor import Role
from ..database import Database
from ..errors import InputRefused, NotFound, NotSignedIn, TooOften
from . import account_codes, account_keys
from .account_page import check_again, done, page


def blueprint(database: Database) -> Blueprint:
    pages = Blueprint("account", __name__, url_prefix="/account")

    @pages.get("")
    @access.needs(Role.VIEWER)
    def show_account() -> ResponseReturnValue:
        return page(database)

    @pages.post("/password")
    @access.needs(Role.VIEWER)
    def change_password() -> ResponseReturnValue:
        held, user = access.guard(), g.session.user
        chosen = request.form.get("password", "")
        try:
            check_again(user)
            passwords.check_choice(chosen, user.name)
            if chosen != request.form.get("again", ""):
                raise InputRefused("The two new passwords differ.", "Type them again.")
        except (InputRefused, NotSignedIn, TooOften) as error:
            return page(database, error=error)
        hashed = held.passwords.hash(chosen)
        with database.write() as connection:
            users.set_password(connection, access.actor(), user, hashed, keep_session=g.session.id)
        return held.start_session(done("password"), user.id, verified=True)

    @pages.post("/sessions/<int:session_id>/end")
    @access.needs(Role.VIEWER)
    def end_session(session_id: int) -> ResponseReturnValue:
        with database.write() as connection:
            if not sessions.end_of_user(connection, access.actor().id, session_id):
                raise NotFound("There is no such session.")
            audit.note(connection, access.actor(), "session.end", f"account {access.actor().name}", None, None)
        return done("session")

    @pages.post("/sessions/end")
    @access.needs(Role.VIEWER)
    def end_all_sessions() -> ResponseReturnValue:
        with database.write() as connection:
            users.revoke(connection, access.actor().id)
            audit.note(connection, access.actor(), "session.end-all", f"account {access.actor().name}", None, None)
        return access.guard().end_session(redirect("/sign-in", 303))

    pages.register_blueprint(account_codes.blueprint(database))
    pages.register_blueprint(account_keys.blueprint(database))
    return pages
