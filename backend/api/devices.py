"""GET /devices, /devices/<name>: each device with its newest values and its ledger."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from ..database import Database
from ..errors import NotFound
from . import shapes


def blueprint(database: Database) -> Blueprint:
    devices = Blueprint("devices", __name__, url_prefix="/devices")

    @devices.get("")
    def list_devices() -> ResponseReturnValue:
        with database.read() as connection:
            return shapes.snapshot(connection)

    @devices.get("/<name>")
    def show_device(name: str) -> ResponseReturnValue:
        with database.read() as connection:
            state = shapes.snapshot(connection)
        for device in state.pop("devices"):
            if device["name"] == name:
                return {**state, "device": device}
        raise NotFound(f"There is no device {name}.", "GET /api/v1/devices lists the devices.")

    return devices
