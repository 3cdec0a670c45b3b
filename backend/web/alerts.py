"""GET /alerts: what lasts, what happened, and what is watched."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from ..alerts import rules, sentence
from ..api import shapes
from ..database import Database
from ..queries import commit_number

SHOWN = 100


def blueprint(database: Database) -> Blueprint:
    alerts = Blueprint("alerts", __name__)

    @alerts.get("/alerts")
    def show_alerts() -> ResponseReturnValue:
        with database.read() as connection:
            commit = commit_number(connection)
            watched, found = rules.rules(connection), rules.episodes(connection, SHOWN)
        lasting = [entry for entry in found if entry.episode.end is None and entry.withdrawn_at is None]
        return render_template(
            "alerts.html",
            now=shapes.now(),
            commit=commit,
            rules=watched,
            open=lasting,
            past=[entry for entry in found if entry not in lasting],
            amount=sentence.amount,
            lasting=sentence.lasting,
            moment=sentence.moment,
        )

    return alerts
