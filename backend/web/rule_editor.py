"""/alerts/rules: a rule as a sentence to fill in, tried on the last days before it is kept."""

import dataclasses
import time
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, select

from ..accounts import access, audit
from ..accounts.actor import Role
from ..alerts import preview, rules, sentence, targets
from ..alerts.schedule import DAYS
from ..database import Database
from ..errors import NotFound, SettingsError
from ..models import Channel, Device
from ..temperature import Scale
from . import rule_form, view

PREVIEW_DAYS = 7


def add(alerts: Blueprint, database: Database) -> None:
    """Add the editor's views to the blueprint of the alerts."""

    @alerts.get("/alerts/rules/new")
    @access.needs(Role.OPERATOR)
    def new_rule() -> ResponseReturnValue:
        asked = {"subject": request.args.get("subject", "")[:200], "scale": view.scale()}
        values = {**rule_form.EMPTY, **asked}
        with database.read() as connection:
            return _editor(connection, values, None)

    @alerts.get("/alerts/rules/<int:rule>")
    @access.needs(Role.OPERATOR)
    def edit_rule(rule: int) -> ResponseReturnValue:
        with database.read() as connection:
            entry = _visible(connection, rule)
            return _editor(connection, rule_form.values_of(entry, view.scale()), entry)

    @alerts.post("/alerts/rules/new")
    @access.needs(Role.OPERATOR)
    def make_rule() -> ResponseReturnValue:
        return _keep(database, None)

    @alerts.post("/alerts/rules/<int:rule>")
    @access.needs(Role.OPERATOR)
    def change_rule(rule: int) -> ResponseReturnValue:
        return _keep(database, rule)

    @alerts.get("/alerts/rules/preview")
    @access.needs(Role.OPERATOR)
    def preview_rule() -> ResponseReturnValue:
        with database.read() as connection:
            return _tried(connection, rule_form.typed(request.args))

    @alerts.post("/alerts/rules/<int:rule>/enabled")
    @access.needs(Role.OPERATOR)
    def enable_rule(rule: int) -> ResponseReturnValue:
        wanted = request.form.get("enabled") == "1"
        with database.write() as connection:
            before = _visible(connection, rule)
            rules.enable(connection, rule, wanted)
            audit.note(
                connection,
                access.actor(),
                "rule.enable" if wanted else "rule.disable",
                f"rule {rule}",
                {"enabled": before.enabled},
                {"enabled": wanted},
            )
        return _to_alerts()

    @alerts.post("/alerts/rules/<int:rule>/remove")
    @access.needs(Role.OPERATOR)
    def remove_rule(rule: int) -> ResponseReturnValue:
        with database.write() as connection:
            before = _visible(connection, rule)
            rules.remove_rule(connection, rule)
            audit.note(connection, access.actor(), "rule.remove", f"rule {rule}", dataclasses.asdict(before), None)
        return _to_alerts()


def _keep(database: Database, rule: int | None) -> ResponseReturnValue:
    """Make or change the rule as the form says, or show the form again with what is wrong, or with a preview."""
    values = rule_form.typed(request.form)
    if request.form.get("act") == "try":
        with database.read() as connection:
            return _editor(connection, values, rule and _visible(connection, rule), **_tried(connection, values))
    try:
        with database.write() as connection:
            before = None if rule is None else _visible(connection, rule)
            wanted = rule_form.wanted(values, _unit(connection, values))
            _check_subject(connection, wanted)
            made = rules.add(connection, wanted) if rule is None else rule
            entry = rules.rule(connection, made) if rule is None else rules.change(connection, rule, wanted)
            audit.note(
                connection,
                access.actor(),
                "rule.change" if before else "rule.add",
                f"rule {made}",
                dataclasses.asdict(before) if before else None,
                dataclasses.asdict(entry),
            )
    except SettingsError as error:
        with database.read() as connection:
            page = _editor(connection, values, rule and _visible(connection, rule), error=str(error))
            return page, 422
    return _to_alerts()


def _tried(connection: Connection, values: dict[str, Any]) -> dict[str, str]:
    """{sentence, preview} of what the form says so far, or {error}."""
    try:
        unit = _unit(connection, values)
        wanted = rule_form.wanted(values, unit)
        _check_subject(connection, wanted)
        found = preview.preview(connection, wanted.rule, wanted.channel, wanted.device, _now(), PREVIEW_DAYS)
    except (SettingsError, NotFound) as error:
        return {"error": str(error)}
    return {"sentence": sentence.rule_sentence(wanted.rule, unit, values["scale"]), "preview": found.sentence}


def _editor(connection: Connection, values: dict[str, Any], entry: Any, **more: str) -> str:
    visible = access.visible_devices(connection)
    return render_template(
        "rule_editor.html",
        values=values,
        entry=entry,
        subjects=_subjects(connection, visible, values["scale"]),
        targets=targets.targets(connection),
        kinds=rule_form.KINDS,
        severities=rule_form.SEVERITIES,
        days=DAYS,
        **more,
    )


def _subjects(
    connection: Connection, visible: set[str] | None, scale: Scale
) -> list[tuple[str, list[tuple[str, str]]]]:
    """(device, [(value of the form, words)]) for each device that may be watched."""
    query = select(Device.name, Channel.id, Channel.sensor, Channel.unit).outerjoin(
        Channel, Channel.device_id == Device.id
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for device, channel, sensor, unit in connection.execute(query.order_by(Device.name, Channel.id)):
        if visible is not None and device not in visible:
            continue
        choices = found.setdefault(device, [])
        if channel is not None:
            choices.append((f"channel:{channel}", f"{device} {sensor} ({sentence.sign(unit, scale)})"))
    for device, choices in found.items():
        choices += [(f"health:{measure}:{device}", f"{device} {name}") for measure, (name, _) in MEASURES]
    return list(found.items())


MEASURES = tuple(sentence.MEASURES.items())


def _check_subject(connection: Connection, wanted: rules.Wanted) -> None:
    """Raises NotFound for a device that the actor may not see."""
    device = wanted.device
    if wanted.channel is not None:
        device = connection.scalar(
            select(Device.name).join(Channel, Channel.device_id == Device.id).where(Channel.id == wanted.channel)
        )
    access.must_see(connection, device or "")


def _unit(connection: Connection, values: dict[str, Any]) -> str:
    """Of what is watched. Raises SettingsError when that is nothing."""
    channel, _, measure = rule_form.subject(values["subject"])
    if channel is None:
        return sentence.MEASURES[measure][1]
    return connection.scalar(select(Channel.unit).where(Channel.id == channel)) or ""


def _visible(connection: Connection, rule: int) -> rules.RuleEntry:
    """Raises NotFound, also for what the actor may not see."""
    entry = rules.rule(connection, rule)
    access.must_see(connection, entry.device)
    return entry


def _to_alerts() -> ResponseReturnValue:
    return redirect(url_for("web.alerts.show_alerts", _anchor="rules-title", **view.carried()), 303)


def _now() -> int:
    return time.time_ns() // 1_000_000
