"""GET and PUT /devices/<name>/settings: what a device is wanted to run, and what it runs."""

import json
from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields
from sqlalchemy import Connection, select

from .. import wanted_settings
from ..accounts import access, audit
from ..accounts.actor import Role
from ..database import Database
from ..models import Device
from . import answers, devices, schemas
from .contract import JSON, contract
from .shapes import Json


class SettingsShape(Schema):
    """revision: of what is wanted, 0: nothing ever was; running: of what the device runs, null: it never said.

    refused: a revision that the device did not take, and why (error). published_at: when the broker had it.
    """

    wanted = fields.Dict(required=True)
    revision = fields.Integer(required=True)
    running = fields.Integer(required=True, allow_none=True)
    refused = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    changed_at = fields.Integer(required=True, allow_none=True)
    changed_by = fields.String(required=True, allow_none=True)
    published_at = fields.Integer(required=True, allow_none=True)


class SendWanted(schemas.Strict):
    every = schemas.whole(1, 100_000, "readings that are worth a message", allow_none=True)
    within = schemas.number(0, 604_800, "seconds that a reading waits at most", allow_none=True)
    change = schemas.number(1e-6, 1e9 - 1, "a change that is sent at once", allow_none=True)


class SettingsWanted(schemas.Strict):
    """What is not named, or null, is the device's own, from its file. Times are seconds."""

    interval = schemas.number(1, 86_400, "seconds between two samples", allow_none=True)
    oversample = schemas.whole(1, 99, "measurements of one sample", allow_none=True)
    send = fields.Nested(SendWanted, allow_none=True)
    state_every = schemas.number(1, 86_400, "seconds between two reports of its health", allow_none=True)
    patience = schemas.number(0.1, 3_600, "seconds until it sends again", allow_none=True)
    restart_after = schemas.number(0, 604_800, "seconds without a link until it restarts; 0: never", allow_none=True)


def blueprint(database: Database) -> APIBlueprint:
    found = APIBlueprint("device_settings", __name__)

    @found.get("/devices/<name>/settings")
    @access.needs(Role.VIEWER, scope="readings:read")
    @found.output(SettingsShape)
    def show_settings(name: str) -> Response:
        """What the device is wanted to run, and what it runs"""
        with database.read() as connection:
            devices.visible(connection, name)
            return _answer(connection, name)

    @found.put("/devices/<name>/settings")
    @access.needs(Role.OPERATOR, scope="devices:write")
    @contract(takes=(JSON,), conditional=True)
    @found.input(SettingsWanted, arg_name="fields_")
    @found.output(SettingsShape)
    def want_settings(name: str, fields_: Json) -> Response:
        """Want these settings from now on; they travel to the device, which says when it runs them"""
        with database.write() as connection:
            devices.visible(connection, name)
            before = wanted_settings.read(connection, name)
            answers.required(_version(before))
            made = wanted_settings.want(connection, name, fields_, access.actor().name)
            noted = before.fields if before else None
            audit.note(connection, access.actor(), "device.settings", f"device {name}", noted, made.fields)
            return _answer(connection, name)

    return found


def _answer(connection: Connection, name: str) -> Response:
    wanted = wanted_settings.read(connection, name)
    told = _told(connection.scalar(select(Device.health).where(Device.name == name)))
    body = {
        "wanted": wanted.fields if wanted else {},
        "revision": wanted.revision if wanted else 0,
        "running": told.get("settings"),
        "refused": told.get("refused"),
        "error": told.get("settings_error"),
        "changed_at": wanted.changed_at if wanted else None,
        "changed_by": wanted.changed_by if wanted else None,
        "published_at": wanted.published_at if wanted else None,
    }
    return answers.tagged(body, version=_version(wanted))


def _version(wanted: wanted_settings.Wanted | None) -> str:
    # What the device says of itself is no change that somebody else made.
    return answers.tag([wanted.revision, wanted.fields] if wanted else None)


def _told(health: str | None) -> dict[str, Any]:
    try:
        found = json.loads(health or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
