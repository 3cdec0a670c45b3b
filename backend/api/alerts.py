"""GET /rules and /episodes: what is watched, and what has happened."""

import dataclasses
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from ..alerts import rules
from ..database import Database
from . import shapes

MOST = 500


def blueprint(database: Database) -> Blueprint:
    alerts = Blueprint("alerts", __name__)

    @alerts.get("/rules")
    def list_rules() -> ResponseReturnValue:
        with database.read() as connection:
            found = rules.rules(connection)
        return {"now": shapes.now(), "rules": [dataclasses.asdict(entry) for entry in found]}

    @alerts.get("/episodes")
    def list_episodes() -> ResponseReturnValue:
        state = request.args.get("state", "all")
        if state not in ("all", "open"):
            raise BadRequest("state is all or open.")
        with database.read() as connection:
            found = rules.episodes(connection, MOST, open_only=state == "open")
        return {"now": shapes.now(), "episodes": [_episode(entry) for entry in found]}

    return alerts


def _episode(entry: rules.EpisodeEntry) -> dict[str, Any]:
    shape = dataclasses.asdict(entry)
    shape |= shape.pop("episode")
    told = [{"phase": phase, "target": target, "outcome": outcome} for phase, target, outcome in entry.notices]
    return {**shape, "notices": told}
