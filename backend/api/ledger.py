"""GET /ledger?device=: where every reading is; all streams, all gaps."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from .. import ledger, queries
from ..database import Database
from ..errors import NotFound
from . import shapes


def blueprint(database: Database) -> Blueprint:
    blueprint = Blueprint("ledger", __name__)

    @blueprint.get("/ledger")
    def show_ledger() -> ResponseReturnValue:
        device = request.args.get("device")
        with database.read() as connection:
            commit = queries.commit_number(connection)
            if device is not None and device not in {row.name for row in queries.devices(connection)}:
                raise NotFound(f"There is no device {device}.", "GET /api/v1/devices lists the devices.")
            streams = ledger.read(connection, device)
        return {"now": shapes.now(), "commit": commit, **shapes.account(streams)}

    return blueprint
