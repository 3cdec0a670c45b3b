"""GET /channels/<id>: what is measured, its series in buckets, its calibrations. POST: another calibration."""

import dataclasses

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields
from sqlalchemy import Connection, select
from werkzeug.exceptions import BadRequest

from .. import calibration, queries
from ..accounts import access, audit
from ..accounts.actor import Role
from ..database import Database
from ..errors import NotFound
from ..models import Calibration
from ..objects import ObjectStore
from . import answers, schemas, shapes
from .contract import JSON, contract
from .idempotency import once
from .shapes import Json

HOUR = 3_600_000
DEFAULT_BUCKETS = 360
MOST_BUCKETS = 5_000


class OneChannel(Schema):
    channel = fields.Integer(required=True)
    device = fields.String(required=True)
    sensor = fields.String(required=True)
    unit = fields.String(required=True)


class Bucket(Schema):
    """min, mean and max are null when all readings are faults."""

    first = fields.Integer(required=True)
    last = fields.Integer(required=True)
    min = fields.Float(required=True, allow_none=True)
    mean = fields.Float(required=True, allow_none=True)
    max = fields.Float(required=True, allow_none=True)
    values = fields.Integer(required=True)
    faults = fields.Integer(required=True)


class Series(OneChannel):
    since = fields.Integer(required=True)
    until = fields.Integer(required=True)
    width = fields.Integer(required=True)
    buckets = fields.List(fields.Nested(Bucket), required=True)


class SeriesAsked(Schema):
    since = schemas.time("first ms of the range; an hour before `until` unless given")
    until = schemas.time("first ms after the range; now unless given")
    buckets = schemas.asked(1, MOST_BUCKETS, "most buckets", load_default=DEFAULT_BUCKETS)


class Correction(Schema):
    """corrected = gain * measured + offset, in the channel's unit."""

    revision = fields.Integer(required=True)
    gain = fields.Float(required=True)
    offset = fields.Float(required=True)
    created = fields.Integer(required=True)


class Corrections(OneChannel):
    calibrations = fields.List(fields.Nested(Correction), required=True)


class NewCorrection(schemas.Strict):
    gain = schemas.number(0.01, 100, "factor for what the sensor measures", load_default=1.0)
    offset = schemas.number(-1e6, 1e6, "added after that", load_default=0.0)


def blueprint(database: Database, store: ObjectStore) -> APIBlueprint:
    channels = APIBlueprint("channels", __name__, url_prefix="/channels")

    @channels.get("/<int:channel_id>")
    @access.needs(Role.VIEWER, scope="readings:read")
    @channels.output(OneChannel)
    def show_channel(channel_id: int) -> Response:
        """What is measured: device, sensor and unit"""
        with database.read() as connection:
            return answers.tagged(dataclasses.asdict(visible(connection, channel_id)))

    @channels.get("/<int:channel_id>/series")
    @access.needs(Role.VIEWER, scope="readings:read")
    @channels.input(SeriesAsked, location="query", arg_name="asked")
    @channels.output(Series)
    def show_series(channel_id: int, asked: Json) -> Response:
        """Readings of a range in buckets, with minimum, mean and maximum of each"""
        since, until = time_range(asked, HOUR)
        buckets = asked["buckets"]
        with database.read() as connection:
            channel = visible(connection, channel_id)
            found = queries.series(connection, channel_id, since, until, buckets, store)
        return answers.tagged(
            {
                **dataclasses.asdict(channel),
                "since": since,
                "until": until,
                "width": queries.bucket_width(since, until, buckets),
                "buckets": [bucket._asdict() for bucket in found],
            }
        )

    @channels.get("/<int:channel_id>/calibrations")
    @access.needs(Role.VIEWER, scope="readings:read")
    @channels.output(Corrections)
    def list_calibrations(channel_id: int) -> Response:
        """Every calibration that was made, the newest last; that one counts"""
        with database.read() as connection:
            channel = visible(connection, channel_id)
            found = _corrections(connection, channel_id)
        return answers.tagged({**dataclasses.asdict(channel), "calibrations": found})

    @channels.post("/<int:channel_id>/calibrations")
    @access.needs(Role.OPERATOR, scope="devices:write")
    @contract(takes=(JSON,), idempotent=True)
    @channels.input(NewCorrection, arg_name="wanted")
    @channels.output(Correction, status_code=201)
    def calibrate(channel_id: int, wanted: Json) -> Response:
        """Correct the channel's values from now on; what was measured stays"""

        def work(connection: Connection) -> Response:
            channel = visible(connection, channel_id)
            names = channel.device, channel.sensor, channel.unit
            before = _corrections(connection, channel_id)[-1:]
            calibration.calibrate(connection, *names, wanted["gain"], wanted["offset"])
            made = _corrections(connection, channel_id)[-1]
            subject = f"channel {channel_id} ({channel.device} {channel.sensor} {channel.unit})"
            audit.note(connection, access.actor(), "channel.calibrate", subject, before[0] if before else None, made)
            return answers.created(made, f"/api/v1/channels/{channel_id}/calibrations")

        return once(database, work)

    return channels


def visible(connection: Connection, channel_id: int) -> queries.ChannelRow:
    """Raises NotFound for a channel that is not there, or not for the one who asks."""
    # Ids are SQL's BIGINT: a longer number is a channel that does not exist.
    found = queries.channel(connection, min(channel_id, 2**63 - 1))
    seen = access.visible_devices(connection)
    if seen is not None and found.device not in seen:
        raise NotFound(f"There is no channel {channel_id}.", "GET /api/v1/devices lists the channels.")
    return found


def time_range(asked: Json, default: int) -> tuple[int, int]:
    """since and until; the last `default` ms where they are not given. Raises BadRequest."""
    until = asked.get("until", shapes.now() + 1)
    since = asked.get("since", max(0, until - default))
    if since >= until:
        raise BadRequest("since must be before until.")
    return since, until


def _corrections(connection: Connection, channel_id: int) -> list[Json]:
    columns = (Calibration.revision, Calibration.gain, Calibration.offset, Calibration.created)
    rows = select(*columns).where(Calibration.channel_id == channel_id).order_by(Calibration.revision)
    return [dict(row._mapping) for row in connection.execute(rows)]
