"""GET /fleet: every device with what it runs, and how to add one."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from ..accounts import access
from ..accounts.actor import Role
from ..api import newest, shapes
from ..database import Database

# (when, what to type)
WAYS = (
    ("A board on USB", "python -m tools flash --name NAME"),
    ("Many boards, with labels to print", "python -m tools provision --csv devices.csv --labels labels.pdf"),
    ("A simulated board, to look around", "python -m tools simulate"),
    ("Any program that speaks TCP or HTTP", "python -m tools tcp-send --help"),
)


def blueprint(database: Database) -> Blueprint:
    fleet = Blueprint("fleet", __name__)

    @fleet.get("/fleet")
    @access.needs(Role.VIEWER)
    def show_fleet() -> ResponseReturnValue:
        with database.read() as connection:
            state = shapes.snapshot(connection, access.visible_devices(connection), newest.source())
        return render_template("fleet.html", state=state, ways=WAYS)

    return fleet
