"""The edge to Flask: every view says whom it is for, and whoever asks is found out before the view runs.

    @blueprint.get("/devices")
    @access.needs(Role.VIEWER, scope="readings:read")
    def list_devices(): ...

An app with an endpoint that says nothing does not start.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from flask import Flask, current_app, g, request
from sqlalchemy import Connection, select

from ..errors import NotFound, NotSignedIn
from ..models import Device
from .actor import Actor, Role
from .guard import Guard, Need

View = TypeVar("View", bound=Callable[..., object])


def needs(role: Role, scope: str | None = None) -> Callable[[View], View]:
    """For actors of at least this role. scope: what a key or token must be allowed; None: people at a browser only."""
    return _declare(Need(role, scope))


def open_to_all(view: View) -> View:
    """For everybody, signed in or not."""
    return _declare(Need(None, None))(view)


def actor() -> Actor:
    """Who asks. Raises NotSignedIn on a view that is open to all, when nobody signed in asks."""
    found = visitor()
    if found is None:
        raise NotSignedIn("Nobody is signed in.", "Sign in first.")
    return found


def visitor() -> Actor | None:
    """Who asks, or None."""
    return cast("Actor | None", g.get("actor"))


def guard() -> Guard:
    return cast(Guard, current_app.extensions["access"])


def visible_devices(connection: Connection) -> set[str] | None:
    """Names of the devices that the actor may see; None: all."""
    return visible_to(connection, actor())


def visible_to(connection: Connection, actor: Actor) -> set[str] | None:
    """visible_devices(), of an actor that is known."""
    if actor.places is None:
        return None
    return set(connection.scalars(select(Device.name).where(Device.place.in_(sorted(actor.places)))))


def must_see(connection: Connection, device: str) -> None:
    """Raises NotFound unless the device exists and the actor may see it: nobody learns what he may not see."""
    row = connection.execute(select(Device.place).where(Device.name == device)).one_or_none()
    if row is None or not actor().sees(row.place):
        raise NotFound(f"There is no device {device}.", "GET /api/v1/devices lists the devices.")


def still_there() -> Callable[[], Actor | None]:
    """A function that tells, later and outside of this request, who its credentials belong to by then: for streams."""
    held, authorization = guard(), request.headers.get("Authorization", "")
    cookie = request.cookies.get(held.cookie, "")
    return lambda: held.identify(authorization, cookie).actor


def cover(app: Flask, prefix: str, role: Role, scope: str | None = None) -> None:
    """Declare the endpoints of a library's blueprint, which has no views of ours to decorate."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(prefix):
            _declared(app)[rule.endpoint] = Need(role, scope)


def check(app: Flask) -> dict[str, Need]:
    """Each endpoint with what it needs. Raises RuntimeError, naming them, if there are any that do not say."""
    declared = {**_declared(app)}
    for rule in app.url_map.iter_rules():
        need = getattr(app.view_functions.get(rule.endpoint), "access_need", None)
        if need is not None:
            declared.setdefault(rule.endpoint, need)
    silent = {rule.endpoint for rule in app.url_map.iter_rules()} - set(declared)
    if silent:
        raise RuntimeError(f"These endpoints do not say whom they are for (access.needs): {', '.join(sorted(silent))}.")
    return declared


def _declare(need: Need) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.access_need = need  # type: ignore[attr-defined]
        return view

    return mark


def _declared(app: Flask) -> dict[str, Need]:
    return cast("dict[str, Need]", app.extensions.setdefault("access-declared", {"static": Need(None, None)}))
