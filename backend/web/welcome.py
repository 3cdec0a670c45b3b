"""GET, POST /welcome: the first visitor makes the first account, an admin's; on the machine itself only."""

import ipaddress

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..accounts import access, passwords, users
from ..accounts.guard import Guard
from ..database import Database
from ..errors import AlreadyThere, InputRefused


def blueprint(database: Database) -> Blueprint:
    pages = Blueprint("welcome", __name__)

    @pages.get("/welcome")
    @access.open_to_all
    def show_welcome() -> ResponseReturnValue:
        return render_template("welcome.html", name="") if _is_open(database) else redirect("/sign-in", 303)

    @pages.post("/welcome")
    @access.open_to_all
    def make_first_account() -> ResponseReturnValue:
        if not _is_open(database):
            return redirect("/sign-in", 303)
        held, name, password = access.guard(), request.form.get("name", ""), request.form.get("password", "")
        try:
            name = users.normal_name(name)
            passwords.check_choice(password, name)
            if password != request.form.get("again", ""):
                raise InputRefused("The two passwords differ.", "Type them again.")
            hashed = held.passwords.hash(password)
            with database.write() as connection:
                user = users.add_first(connection, name, hashed)
        except AlreadyThere:
            return redirect("/sign-in", 303)
        except InputRefused as error:
            return Response(render_template("welcome.html", name=name, error=error), error.status)
        return held.start_session(redirect("/", 303), user.id, verified=True)

    return pages


def _is_open(database: Database) -> bool:
    """Is there no account yet, and may this visitor make it?"""
    if not may_welcome(access.guard()):
        return False
    with database.read() as connection:
        return not users.anyone(connection)


def may_welcome(held: Guard) -> bool:
    """Only to somebody on this machine, who calls it by a name of its own: under a name that an attacker's DNS makes
    point here, a page of his would be the first visitor.
    """
    settings = held.settings
    local = is_loopback(settings.web_host) and is_loopback(held.address) and not settings.web_proxy
    return settings.welcome == "open" and local and is_loopback(request.host)


def is_loopback(host: str) -> bool:
    """host: a name or an address, with or without a port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        pass
    name = name.partition(":")[0]
    try:
        return name.lower() == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
