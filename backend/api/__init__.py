"""The API, version 1. One module a noun, each a blueprint that is handed what it reads; README.md has the rules."""

from apiflask import APIBlueprint

from ..database import Database
from ..objects import ObjectStore
from ..settings import Settings
from . import (
    archive,
    auth,
    channels,
    contract,
    device_settings,
    devices,
    episodes,
    events,
    keys,
    ledger,
    openapi,
    readings,
    rules,
    targets,
    telemetry,
    trace,
    users,
)
from .live import Live


def blueprint(settings: Settings, database: Database, store: ObjectStore, live: Live) -> APIBlueprint:
    """Everything under /api/v1."""
    api = APIBlueprint("api", __name__, url_prefix="/api/v1")
    api.before_request(contract.check)
    for noun in (
        devices.blueprint(database),
        device_settings.blueprint(database),
        channels.blueprint(database, store),
        readings.blueprint(database, store),
        telemetry.blueprint(database, settings.enrolment),
        trace.blueprint(database, store),
        ledger.blueprint(database),
        events.blueprint(database, live),
        rules.blueprint(database),
        targets.blueprint(settings, database),
        episodes.blueprint(database),
        archive.blueprint(database, store),
        auth.blueprint(database),
        users.blueprint(database),
        keys.blueprint(database),
        openapi.blueprint(),
    ):
        api.register_blueprint(noun)
    return api
