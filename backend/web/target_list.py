"""/alerts/targets: whom alerts are told to, each with a button that tries it."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from ..accounts import access, audit
from ..accounts.actor import Role
from ..alerts import rules, sentence, targets
from ..database import Database
from ..errors import SettingsError
from ..notify.ways import KINDS, Ways
from ..settings import Settings
from . import view


def add(alerts: Blueprint, database: Database, settings: Settings) -> None:
    """Add the targets' views to the blueprint of the alerts."""
    ways = Ways(settings)

    @alerts.get("/alerts/targets")
    @access.needs(Role.OPERATOR)
    def show_targets() -> ResponseReturnValue:
        with database.read() as connection:
            return _page(connection)

    @alerts.post("/alerts/targets")
    @access.needs(Role.OPERATOR)
    def add_target() -> ResponseReturnValue:
        kind, address = request.form.get("kind", ""), request.form.get("address", "").strip()
        try:
            with database.write() as connection:
                target, secret = targets.add_target(connection, kind, address)
                after = {"kind": kind, "address": targets.target(connection, target).shown}
                audit.note(connection, access.actor(), "target.add", f"target {target}", None, after)
        except SettingsError as error:
            with database.read() as connection:
                return _page(connection, error=str(error), kind=kind, address=address[:200]), 422
        if not secret:
            return redirect(url_for("web.alerts.show_targets", _anchor=f"target-{target}", **view.carried()), 303)
        with database.read() as connection:
            # Shown this once, in the answer itself: it is kept nowhere that could be read again.
            return _page(connection, secret=secret)

    @alerts.post("/alerts/targets/<int:target>/test")
    @access.needs(Role.OPERATOR)
    def try_target(target: int) -> ResponseReturnValue:
        with database.read() as connection:
            outcome = targets.try_target(connection, target, ways, access.actor().name)
        with database.write() as connection:
            targets.note_test(connection, target, outcome)
            audit.note(connection, access.actor(), "target.test", f"target {target}", None, {"outcome": outcome})
        return redirect(url_for("web.alerts.show_targets", _anchor=f"target-{target}", **view.carried()), 303)

    @alerts.post("/alerts/targets/<int:target>/remove")
    @access.needs(Role.OPERATOR)
    def remove_target(target: int) -> ResponseReturnValue:
        with database.write() as connection:
            before = {"kind": (entry := targets.target(connection, target)).kind, "address": entry.shown}
            targets.remove_target(connection, target)
            audit.note(connection, access.actor(), "target.remove", f"target {target}", before, None)
        return redirect(url_for("web.alerts.show_targets", **view.carried()), 303)


def _page(connection: Connection, **more: Any) -> str:
    visible = access.visible_devices(connection)
    told: dict[int, list[str]] = {}
    for rule in rules.rules(connection, visible):
        for target in {*rule.targets, *rule.escalate_to}:
            told.setdefault(target, []).append(rule.name)
    return render_template(
        "alert_targets.html",
        targets=targets.targets(connection),
        told=told,
        kinds=KINDS,
        moment=sentence.moment,
        **more,
    )
