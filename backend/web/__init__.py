"""The pages. A blueprint a noun; README.md has the rules."""

from flask import Blueprint

from ..database import Database
from ..objects import ObjectStore
from ..settings import Settings
from . import account, alerts, archive, device, fleet, navigation, overview, reports, sign_in, welcome


def blueprint(settings: Settings, database: Database, store: ObjectStore) -> Blueprint:
    web = Blueprint("web", __name__)
    web.app_context_processor(navigation.pages)
    web.register_blueprint(overview.blueprint(database))
    web.register_blueprint(device.blueprint(database, store))
    web.register_blueprint(fleet.blueprint(database))
    web.register_blueprint(alerts.blueprint(database, settings))
    web.register_blueprint(archive.blueprint(database, store))
    web.register_blueprint(reports.blueprint(database, store))
    web.register_blueprint(sign_in.blueprint(database))
    web.register_blueprint(welcome.blueprint(database))
    web.register_blueprint(account.blueprint(database))
    return web
