"""/account/keys: keys of one's own programs, each shown once."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from ..accounts import access, keys, users
from ..accounts.actor import Role
from ..database import Database
from ..errors import InputRefused
from .account_page import done, page

DAY = 86_400_000
# Days that a key may live; 0: until it is revoked.
LIVES = ("30", "90", "365", "0")


def blueprint(database: Database) -> Blueprint:
    pages = Blueprint("keys", __name__, url_prefix="/keys")

    @pages.post("")
    @access.needs(Role.VIEWER)
    def add_key() -> ResponseReturnValue:
        days = request.form.get("days", "")
        expires = users.now() + int(days) * DAY if days in LIVES and days != "0" else None
        try:
            with database.write() as connection:
                name, scopes = request.form.get("name", ""), request.form.getlist("scopes")
                _, text = keys.add(connection, access.actor(), access.actor().id, name, scopes, expires)
        except InputRefused as error:
            return page(database, error=error)
        return page(database, new_key=text)

    @pages.post("/<int:key_id>/revoke")
    @access.needs(Role.VIEWER)
    def revoke_key(key_id: int) -> ResponseReturnValue:
        with database.write() as connection:
            keys.revoke(connection, access.actor(), key_id, access.actor().id)
        return done("key")

    return pages
