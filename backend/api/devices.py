"""GET /devices, /devices/<name>: each device with its newest values and its ledger. PATCH: what people call it."""

from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields
from sqlalchemy import Connection, select, update

from ..accounts import access, audit
from ..accounts.actor import Role
from ..database import Database
from ..errors import NotFound
from ..models import Device, Progress
from . import answers, newest, paging, schemas, shapes
from .contract import JSON, contract
from .shapes import Json

MERGE = (JSON, "application/merge-patch+json")


class Newest(Schema):
    """value is corrected by the channel's calibration; one of value and fault is null."""

    stream = fields.String(required=True)
    seq = fields.Integer(required=True)
    t = fields.Integer(required=True)
    tq = fields.String(required=True)
    value = fields.Float(required=True, allow_none=True)
    fault = fields.String(required=True, allow_none=True)
    received = fields.Integer(required=True)
    commit = fields.Integer(required=True)


class ChannelState(Schema):
    id = fields.Integer(required=True)
    sensor = fields.String(required=True)
    unit = fields.String(required=True)
    interval = fields.Integer(required=True, allow_none=True)
    calibration = fields.Integer(required=True, metadata={"description": "revision; 0: none"})
    stale_after = fields.Integer(required=True)
    limits = fields.List(fields.Dict(), metadata={"description": "the rules that have a line in its chart"})
    newest = fields.Nested(Newest, required=True)


class DeviceState(Schema):
    name = fields.String(required=True)
    label = fields.String(allow_none=True)
    place = fields.String(allow_none=True)
    note = fields.String(allow_none=True)
    enrolled = fields.Boolean(required=True)
    created = fields.Integer(required=True)
    status = fields.String(required=True, allow_none=True)
    status_at = fields.Integer(required=True, allow_none=True)
    health = fields.Dict(required=True, allow_none=True)
    health_at = fields.Integer(required=True, allow_none=True)
    channels = fields.List(fields.Nested(ChannelState), required=True)
    ledger = fields.Nested(schemas.Account, required=True)
    alerts = fields.List(fields.Dict(), metadata={"description": "its open episodes"})


class Moment(Schema):
    now = fields.Integer(required=True)
    commit = fields.Integer(required=True, metadata={"description": "number of the last commit that this holds"})


class DeviceList(Moment):
    devices = fields.List(fields.Nested(DeviceState), required=True)


class OneDevice(Moment):
    device = fields.Nested(DeviceState, required=True)


class DevicePage(schemas.Paged):
    limit = schemas.asked(1, 10_000, "devices of a page; all unless given", load_default=10_000)


class DeviceChange(schemas.Strict):
    """null takes it away. A place decides which viewers see the device."""

    label = schemas.line(120, allow_none=True)
    place = schemas.line(120, allow_none=True)
    note = schemas.text(2_000, allow_none=True)


def blueprint(database: Database) -> APIBlueprint:
    devices = APIBlueprint("devices", __name__, url_prefix="/devices")

    @devices.get("")
    @access.needs(Role.VIEWER, scope="readings:read")
    @devices.input(DevicePage, location="query", arg_name="asked")
    @devices.output(DeviceList)
    def list_devices(asked: Json) -> Response:
        """All devices that you may see, by name"""
        after = paging.decode(asked.get("cursor"), str)
        with database.read() as connection:
            state = shapes.snapshot(connection, access.visible_devices(connection), newest.source())
        state["devices"], end = paging.page(state["devices"], lambda one: [one["name"]], after, asked["limit"])
        return answers.tagged(state, headers=paging.links(end))

    @devices.get("/<name>")
    @access.needs(Role.VIEWER, scope="readings:read")
    @devices.output(OneDevice)
    def show_device(name: str) -> Response:
        """One device with its newest values and its ledger"""
        with database.read() as connection:
            return _device(connection, name)

    @devices.patch("/<name>")
    @access.needs(Role.OPERATOR, scope="devices:write")
    @contract(takes=MERGE, conditional=True)
    @devices.input(DeviceChange, arg_name="change")
    @devices.output(OneDevice)
    def change_device(name: str, change: Json) -> Response:
        """Change label, place and note; what is not named stays"""
        with database.write() as connection:
            visible(connection, name)
            before = editable(connection, name)
            answers.required(answers.tag(before))
            if {**before, **change} != before:
                connection.execute(update(Device).where(Device.name == name).values(change))
                connection.execute(update(Progress).values(commit=Progress.commit + 1))
                after = {**before, **change}
                audit.note(connection, access.actor(), "device.change", f"device {name}", before, after)
            return _device(connection, name)

    return devices


def visible(connection: Connection, name: str) -> None:
    """Raises NotFound for a device that is not there, or not for the one who asks."""
    # What can be no name is not looked up: PostgreSQL takes no NUL in a text.
    if not schemas.is_device_name(name):
        raise NotFound("There is no such device.", "GET /api/v1/devices lists the devices.")
    access.must_see(connection, name)


def editable(connection: Connection, name: str) -> Json:
    row = connection.execute(select(Device.label, Device.place, Device.note).where(Device.name == name)).one()
    return dict(row._mapping)


def _device(connection: Connection, name: str) -> Response:
    visible(connection, name)
    state = shapes.snapshot(connection, {name}, newest.source())
    (device,) = state.pop("devices")
    about: dict[str, Any] = editable(connection, name)
    return answers.tagged({**state, "device": {**device, **about}}, version=answers.tag(about))
