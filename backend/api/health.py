"""GET /healthz: the process answers. GET /readyz: so does its database."""

from apiflask import APIBlueprint, Schema
from flask.typing import ResponseReturnValue
from marshmallow import fields

from .. import queries
from ..accounts import access
from ..database import Database


class Health(Schema):
    status = fields.String(required=True)


class Ready(Health):
    commit = fields.Integer(required=True)


def blueprint(database: Database) -> APIBlueprint:
    health = APIBlueprint("health", __name__)

    @health.get("/healthz")
    @access.open_to_all
    @health.output(Health)
    def alive() -> ResponseReturnValue:
        """The process answers"""
        return {"status": "ok"}

    @health.get("/readyz")
    @access.open_to_all
    @health.output(Ready)
    def ready() -> ResponseReturnValue:
        """The process can serve: its database answers"""
        with database.read() as connection:
            return {"status": "ok", "commit": queries.commit_number(connection)}

    return health
