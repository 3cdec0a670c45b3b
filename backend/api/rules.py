"""Rules: list, one, make, change, remove, and what one would have found in the last seven days."""

import dataclasses
from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields, validate
from sqlalchemy import Connection

from ..accounts import access, audit
from ..accounts.actor import Role
from ..alerts import preview, rules
from ..alerts.rule import Kind, Measure, Rule, Severity
from ..alerts.rules import RuleEntry, Wanted
from ..alerts.schedule import Schedule
from ..database import Database
from ..errors import InputRefused, NotFound
from . import answers, channels, devices, paging, schemas, shapes
from .contract import JSON, contract
from .devices import MERGE
from .idempotency import once
from .shapes import Json

MONTH = 31 * 86_400_000


def _targets(**options: Any) -> fields.List:
    about = {"description": "ids of targets"}
    id_ = schemas.whole(1, schemas.LARGEST_ID, "id")
    return fields.List(id_, validate=validate.Length(max=20), metadata=about, **options)


class ScheduleShape(schemas.Strict):
    """When the rule is in force. days: 0 is Monday; start, end: minutes of the local day."""

    zone = schemas.line(64, 1, required=True)
    days = fields.List(schemas.whole(0, 6, "day"), required=True, validate=validate.Length(1, 7))
    start = schemas.whole(0, 1439, "minute", required=True)
    end = schemas.whole(0, 1440, "minute", required=True)


class RuleBody(schemas.Strict):
    """What is watched, and what counts as wrong. Times are ms, values in the channel's unit."""

    kind = fields.String(required=True, validate=validate.OneOf(Kind.__args__))  # type: ignore[attr-defined]
    limit = schemas.number(
        -1e9, 1e9, "what is too high, too low, too much of a change, or too long a silence (ms)", required=True
    )
    clear = schemas.number(0, 1e9, "hysteresis")
    duration = schemas.whole(0, MONTH, "exposure that makes an episode")
    window = schemas.whole(0, MONTH, "for cumulative exposure, and of a rate of change")
    hold = schemas.whole(1, MONTH, "how long a value holds before it counts as unknown")
    severity = fields.String(validate=validate.OneOf(Severity.__args__))  # type: ignore[attr-defined]
    measure = fields.String(validate=validate.OneOf(Measure.__args__))  # type: ignore[attr-defined]
    schedule = fields.Nested(ScheduleShape, allow_none=True)


class RuleShape(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    channel = fields.Integer(required=True, allow_none=True)
    device = fields.String(required=True)
    sensor = fields.String(required=True)
    unit = fields.String(required=True)
    rule = fields.Dict(required=True)
    sentence = fields.String(required=True)
    targets = fields.List(fields.Integer(), required=True)
    enabled = fields.Boolean(required=True)
    revision = fields.Integer(required=True)
    escalate_after = fields.Integer(required=True)
    escalate_to = fields.List(fields.Integer(), required=True)


class RuleList(Schema):
    now = fields.Integer(required=True)
    rules = fields.List(fields.Nested(RuleShape), required=True)


class RuleAsked(schemas.Paged):
    limit = schemas.asked(1, 1_000, "rules of a page", load_default=1_000)


class NewRule(schemas.Strict):
    """Over a channel (its id), or over the health of a device (its name)."""

    name = schemas.line(120, 1, required=True)
    channel = schemas.whole(1, schemas.LARGEST_ID, "id of a channel", allow_none=True)
    device = fields.String(allow_none=True, validate=validate.Regexp(f"^{schemas.DEVICE_NAME}$"))
    rule = fields.Nested(RuleBody, required=True)
    targets = _targets(load_default=list)
    escalate_after = schemas.whole(0, MONTH, "ms without an acknowledgement; 0: never", load_default=0)
    escalate_to = _targets(load_default=list)


class RuleChange(schemas.Strict):
    """What is not named stays, within `rule` too."""

    name = schemas.line(120, 1)
    rule = fields.Nested(RuleBody(partial=True))
    targets = _targets()
    enabled = schemas.Truth()
    escalate_after = schemas.whole(0, MONTH, "ms without an acknowledgement; 0: never")
    escalate_to = _targets()


class Tried(schemas.Strict):
    channel = schemas.whole(1, schemas.LARGEST_ID, "id of a channel", allow_none=True)
    device = fields.String(allow_none=True, validate=validate.Regexp(f"^{schemas.DEVICE_NAME}$"))
    rule = fields.Nested(RuleBody, required=True)


class PreviewShape(Schema):
    days = fields.Integer(required=True)
    samples = fields.Integer(required=True)
    sentence = fields.String(required=True)
    episodes = fields.List(fields.Dict(), required=True)


def blueprint(database: Database) -> APIBlueprint:
    found = APIBlueprint("rules", __name__, url_prefix="/rules")

    @found.get("")
    @access.needs(Role.VIEWER, scope="alerts:read")
    @found.input(RuleAsked, location="query", arg_name="asked")
    @found.output(RuleList)
    def list_rules(asked: Json) -> Response:
        """Rules over the devices that you may see"""
        after = paging.decode(asked.get("cursor"), int)
        with database.read() as connection:
            entries = rules.rules(connection, access.visible_devices(connection))
        page, end = paging.page(entries, lambda entry: [entry.id], after, asked["limit"])
        body = {"now": shapes.now(), "rules": [dataclasses.asdict(entry) for entry in page]}
        return answers.tagged(body, headers=paging.links(end))

    @found.get("/<int:rule_id>")
    @access.needs(Role.VIEWER, scope="alerts:read")
    @found.output(RuleShape)
    def show_rule(rule_id: int) -> Response:
        """One rule"""
        with database.read() as connection:
            return answers.tagged(dataclasses.asdict(visible(connection, rule_id)))

    @found.post("")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(takes=(JSON,), idempotent=True)
    @found.input(NewRule, arg_name="wanted")
    @found.output(RuleShape, status_code=201)
    def add_rule(wanted: Json) -> Response:
        """Make a rule"""

        def work(connection: Connection) -> Response:
            _subject(connection, wanted)
            made = rules.rule(connection, rules.add(connection, _wanted(wanted, _rule(wanted["rule"]))))
            audit.note(connection, access.actor(), "rule.add", f"rule {made.id}", None, dataclasses.asdict(made))
            return answers.created(dataclasses.asdict(made), f"/api/v1/rules/{made.id}")

        return once(database, work)

    @found.patch("/<int:rule_id>")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(takes=MERGE, conditional=True)
    @found.input(RuleChange, arg_name="change")
    @found.output(RuleShape)
    def change_rule(rule_id: int, change: Json) -> Response:
        """Change a rule; a new limit judges anew all readings that SQL still has"""
        with database.write() as connection:
            before = _unchanged(connection, rule_id)
            after = _changed(connection, before, change)
            changes = dataclasses.asdict(before), dataclasses.asdict(after)
            audit.note(connection, access.actor(), "rule.change", f"rule {rule_id}", *changes)
            return answers.tagged(dataclasses.asdict(after))

    @found.delete("/<int:rule_id>")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(conditional=True)
    @found.output({}, status_code=204)
    def remove_rule(rule_id: int) -> Response:
        """Remove a rule, with its episodes"""
        with database.write() as connection:
            before = _unchanged(connection, rule_id)
            rules.remove_rule(connection, rule_id)
            audit.note(connection, access.actor(), "rule.remove", f"rule {rule_id}", dataclasses.asdict(before), None)
        return answers.nothing()

    @found.post("/preview")
    @access.needs(Role.VIEWER, scope="alerts:read")
    @contract(takes=(JSON,))
    @found.input(Tried, arg_name="wanted")
    @found.output(PreviewShape)
    def preview_rule(wanted: Json) -> Response:
        """What a rule would have found in the last seven days; nothing is kept"""
        with database.read() as connection:
            channel, device = _subject(connection, wanted)
            tried = preview.preview(connection, _rule(wanted["rule"]), channel, device, shapes.now())
        episodes = [dataclasses.asdict(one) for one in tried.episodes]
        return answers.plain(
            {"days": tried.days, "samples": tried.samples, "sentence": tried.sentence, "episodes": episodes}
        )

    return found


def visible(connection: Connection, rule_id: int) -> RuleEntry:
    """Raises NotFound for a rule that is not there, or over a device that is not for the one who asks."""
    entry = rules.rule(connection, min(rule_id, 2**63 - 1))
    seen = access.visible_devices(connection)
    if seen is not None and entry.device not in seen:
        raise NotFound(f"There is no rule {rule_id}.")
    return entry


def _unchanged(connection: Connection, rule_id: int) -> RuleEntry:
    entry = visible(connection, rule_id)
    answers.required(answers.tag(dataclasses.asdict(entry)))
    return entry


def _subject(connection: Connection, wanted: Json) -> tuple[int | None, str | None]:
    """The channel or the device that a rule is over. Raises NotFound, InputRefused."""
    channel, device = wanted.get("channel"), wanted.get("device")
    if (channel is None) == (device is None):
        raise InputRefused("A rule is over a channel or over a device: name one of them.")
    if channel is not None:
        channels.visible(connection, channel)
    else:
        devices.visible(connection, device or "")
    return channel, device


def _rule(fields_: Json) -> Rule:
    schedule = fields_.get("schedule")
    if schedule is not None:
        fields_ = {**fields_, "schedule": Schedule(**{**schedule, "days": tuple(schedule["days"])})}
    return Rule(**fields_)


def _wanted(fields_: Json, rule: Rule) -> Wanted:
    return Wanted(
        fields_["name"],
        rule,
        fields_.get("channel"),
        fields_.get("device"),
        tuple(fields_["targets"]),
        fields_["escalate_after"],
        tuple(fields_["escalate_to"]),
    )


def _changed(connection: Connection, entry: RuleEntry, change: Json) -> RuleEntry:
    as_is: dict[str, Any] = dataclasses.asdict(entry)
    rule = _rule({**as_is["rule"], **change.get("rule", {})})
    if entry.channel is not None:
        del as_is["device"]
    wanted = _wanted({**as_is, **change}, rule)
    rules.change(connection, entry.id, wanted)
    if change.get("enabled", entry.enabled) != entry.enabled:
        rules.enable(connection, entry.id, change["enabled"])
    return rules.rule(connection, entry.id)
