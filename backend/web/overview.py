"""GET /: all devices, newest values, the last hour, the ledger."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from ..api import shapes
from ..database import Database

FIRST_COMMAND = "python -m backend run"


def blueprint(database: Database) -> Blueprint:
    overview = Blueprint("overview", __name__)

    @overview.get("/")
    def show_overview() -> ResponseReturnValue:
        with database.read() as connection:
            state = shapes.snapshot(connection)
        return render_template("overview.html", state=state, first_command=FIRST_COMMAND)

    return overview
