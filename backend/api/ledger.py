"""GET /ledger?device=: where every reading is; all streams, all gaps."""

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields

from .. import ledger, queries
from ..accounts import access
from ..accounts.actor import Role
from ..database import Database
from . import answers, devices, schemas, shapes
from .shapes import Json


class LedgerAsked(Schema):
    device = fields.String(metadata={"description": "of this device only"})


class WholeLedger(schemas.Account):
    now = fields.Integer(required=True)
    commit = fields.Integer(required=True)


def blueprint(database: Database) -> APIBlueprint:
    blueprint = APIBlueprint("ledger", __name__)

    @blueprint.get("/ledger")
    @access.needs(Role.VIEWER, scope="readings:read")
    @blueprint.input(LedgerAsked, location="query", arg_name="asked")
    @blueprint.output(WholeLedger)
    def show_ledger(asked: Json) -> Response:
        """Where every reading is: sampled, stored, archived, lost and why"""
        device = asked.get("device")
        with database.read() as connection:
            commit = queries.commit_number(connection)
            if device is not None:
                devices.visible(connection, device)
            streams = ledger.read(connection, device, among=access.visible_devices(connection))
        return answers.tagged({"now": shapes.now(), "commit": commit, **shapes.account(streams)})

    return blueprint
