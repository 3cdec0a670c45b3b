"""Targets: whom alerts tell. A target's secret is shown once, and its address is never changed: make another one."""

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields, validate
from sqlalchemy import Connection

from ..accounts import access, audit
from ..accounts.actor import Role
from ..alerts import targets
from ..alerts.targets import TargetEntry
from ..database import Database
from ..notify import ways
from ..settings import Settings
from . import answers, paging, schemas, shapes
from .contract import JSON, contract
from .idempotency import once
from .shapes import Json


class TargetShape(Schema):
    """address: of a webhook only its host, for its path may be a secret."""

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    address = fields.String(required=True)
    tested_at = fields.Integer(required=True, allow_none=True)
    test_outcome = fields.String(required=True, allow_none=True)


class MadeTarget(TargetShape):
    secret = fields.String(
        required=True, allow_none=True, metadata={"description": "what webhooks are signed with; shown once"}
    )


class TargetList(Schema):
    now = fields.Integer(required=True)
    targets = fields.List(fields.Nested(TargetShape), required=True)


class NewTarget(schemas.Strict):
    kind = fields.String(required=True, validate=validate.OneOf(list(ways.KINDS)))
    address = schemas.line(500, 0, required=True)


class Outcome(Schema):
    target = fields.Integer(required=True)
    outcome = fields.String(required=True)


def blueprint(settings: Settings, database: Database) -> APIBlueprint:
    found = APIBlueprint("targets", __name__, url_prefix="/targets")

    @found.get("")
    @access.needs(Role.OPERATOR, scope="alerts:read")
    @found.input(schemas.Paged, location="query", arg_name="asked")
    @found.output(TargetList)
    def list_targets(asked: Json) -> Response:
        """Whom alerts can tell"""
        after = paging.decode(asked.get("cursor"), int)
        with database.read() as connection:
            entries = targets.targets(connection)
        page, end = paging.page(entries, lambda entry: [entry.id], after, asked["limit"])
        body = {"now": shapes.now(), "targets": [_shape(entry) for entry in page]}
        return answers.tagged(body, headers=paging.links(end))

    @found.get("/<int:target_id>")
    @access.needs(Role.OPERATOR, scope="alerts:read")
    @found.output(TargetShape)
    def show_target(target_id: int) -> Response:
        """One target"""
        with database.read() as connection:
            return answers.tagged(_shape(targets.target(connection, min(target_id, 2**63 - 1))))

    @found.post("")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(takes=(JSON,), idempotent=True)
    @found.input(NewTarget, arg_name="wanted")
    @found.output(MadeTarget, status_code=201)
    def add_target(wanted: Json) -> Response:
        """Make a target; a webhook's secret is shown this once"""

        def work(connection: Connection) -> Response:
            made, secret = targets.add_target(connection, wanted["kind"], wanted["address"])
            shape = _shape(targets.target(connection, made))
            audit.note(connection, access.actor(), "target.add", f"target {made}", None, shape)
            return answers.created({**shape, "secret": secret or None}, f"/api/v1/targets/{made}")

        return once(database, work, secret=wanted["kind"] == "webhook")

    @found.delete("/<int:target_id>")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(conditional=True)
    @found.output({}, status_code=204)
    def remove_target(target_id: int) -> Response:
        """Tell it no more"""
        target_id = min(target_id, 2**63 - 1)
        with database.write() as connection:
            shape = _shape(targets.target(connection, target_id))
            answers.required(answers.tag(shape))
            targets.remove_target(connection, target_id)
            audit.note(connection, access.actor(), "target.remove", f"target {target_id}", shape, None)
        return answers.nothing()

    @found.post("/<int:target_id>/test")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @found.output(Outcome)
    def test_target(target_id: int) -> Response:
        """Tell it now that this is a test, and say what came of it"""
        target_id = min(target_id, 2**63 - 1)
        with database.read() as connection:
            outcome = targets.try_target(connection, target_id, ways.Ways(settings), access.actor().name)
        with database.write() as connection:
            targets.note_test(connection, target_id, outcome)
        return answers.plain({"target": target_id, "outcome": outcome})

    return found


def _shape(entry: TargetEntry) -> Json:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "address": entry.shown,
        "tested_at": entry.tested_at,
        "test_outcome": entry.test_outcome,
    }
