"""GET /healthz: the process answers. GET /readyz: so does its database."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from .. import queries
from ..database import Database


def blueprint(database: Database) -> Blueprint:
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def alive() -> ResponseReturnValue:
        return {"status": "ok"}

    @health.get("/readyz")
    def ready() -> ResponseReturnValue:
        with database.read() as connection:
            return {"status": "ok", "commit": queries.commit_number(connection)}

    return health
