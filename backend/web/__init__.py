"""The pages. A blueprint a noun; README.md has the rules."""

from flask import Blueprint

from ..database import Database
from . import alerts, overview


def blueprint(database: Database) -> Blueprint:
    web = Blueprint("web", __name__)
    web.register_blueprint(overview.blueprint(database))
    web.register_blueprint(alerts.blueprint(database))
    return web
