"""The API, version 1. One module a noun, each a blueprint that is handed what it reads; README.md has the rules."""

from flask import Blueprint

from ..database import Database
from . import alerts, channels, devices, events, ledger
from .live import Live


def blueprint(database: Database, live: Live) -> Blueprint:
    """Everything under /api/v1."""
    api = Blueprint("api", __name__, url_prefix="/api/v1")
    api.register_blueprint(devices.blueprint(database))
    api.register_blueprint(channels.blueprint(database))
    api.register_blueprint(ledger.blueprint(database))
    api.register_blueprint(events.blueprint(live))
    api.register_blueprint(alerts.blueprint(database))
    return api
