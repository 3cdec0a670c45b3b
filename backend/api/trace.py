"""GET .../readings/<seq>/trace: where one reading was, step by step, up to the very object that holds it."""

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields
from sqlalchemy import Connection, Row, select

from ..accounts import access
from ..accounts.actor import Role
from ..calibration import NONE, corrections
from ..database import Database
from ..errors import NotFound
from ..hot_window import day_of
from ..models import Batch, BatchSpan, Channel, Device, Reading, Span, Stream
from ..objects import ObjectStore
from ..parquet import decode
from . import answers, devices
from .shapes import Json


class Sampled(Schema):
    t = fields.Integer(required=True)
    tq = fields.String(required=True)
    sensor = fields.String(required=True)
    unit = fields.String(required=True)
    channel = fields.Integer(required=True, allow_none=True)
    measured = fields.Float(required=True, allow_none=True)
    value = fields.Float(required=True, allow_none=True)
    fault = fields.String(required=True, allow_none=True)


class At(Schema):
    t = fields.Integer(required=True, allow_none=True)


class Archived(Schema):
    t = fields.Integer(required=True, allow_none=True, metadata={"description": "of its upload; null: waits for S3"})
    object = fields.Integer(required=True)
    key = fields.String(required=True)
    sha256 = fields.String(required=True)
    rows = fields.Integer(required=True)
    size = fields.Integer(required=True)


class Lost(Schema):
    first = fields.Integer(required=True)
    last = fields.Integer(required=True)
    cause = fields.String(required=True)


class Trace(Schema):
    """A step that has not come is null. state: waiting, lost, committed, frozen or archived.

    sent is not recorded by the wire: what was received was sent, at a time that only the device knew.
    """

    device = fields.String(required=True)
    stream = fields.String(required=True)
    seq = fields.Integer(required=True)
    state = fields.String(required=True)
    sampled = fields.Nested(Sampled, required=True, allow_none=True)
    sent = fields.Nested(At, required=True, allow_none=True)
    received = fields.Nested(At, required=True, allow_none=True)
    committed = fields.Nested(At, required=True, allow_none=True)
    archived = fields.Nested(Archived, required=True, allow_none=True)
    lost = fields.Nested(Lost, required=True, allow_none=True)


def blueprint(database: Database, store: ObjectStore) -> APIBlueprint:
    trace = APIBlueprint("trace", __name__)

    @trace.get("/devices/<name>/streams/<stream>/readings/<int:seq>/trace")
    @access.needs(Role.VIEWER, scope="readings:read")
    @trace.output(Trace)
    def show_trace(name: str, stream: str, seq: int) -> Response:
        """Where one reading was: sampled, received, committed, archived; or waiting; or lost, and why"""
        with database.read() as connection:
            devices.visible(connection, name)
            found = _stream(connection, name, stream)
            if not 1 <= seq <= found.sampled:
                raise NotFound(f"The stream {stream} has no reading {seq}.", f"It goes from 1 to {found.sampled}.")
            steps = _steps(connection, store, name, found, seq)
        return answers.tagged({"device": name, "stream": stream, "seq": seq, **steps})

    return trace


def _stream(connection: Connection, name: str, stream: str) -> Row:
    query = select(Stream.id, Stream.stream, Stream.sampled).join(Device, Device.id == Stream.device_id)
    fits = len(stream) == 8 and stream.isalnum() and stream.isascii()
    row = connection.execute(query.where(Device.name == name, Stream.stream == stream)).one_or_none() if fits else None
    if row is None:
        raise NotFound(f"{name} has no such stream.", "GET /api/v1/ledger lists the streams.")
    return row


def _steps(connection: Connection, store: ObjectStore, name: str, stream: Row, seq: int) -> Json:
    steps: Json = dict.fromkeys(("sampled", "sent", "received", "committed", "archived", "lost"))
    run = connection.execute(
        select(Span.first, Span.last, Span.cause).where(
            Span.stream_id == stream.id, Span.first <= seq, Span.last >= seq
        )
    ).one_or_none()
    if run is None:
        return {"state": "waiting", **steps}
    if run.cause is not None:
        return {"state": "lost", **steps, "lost": dict(run._mapping)}
    sampled, received, archived = _in_sql(connection, stream.id, seq) or _in_archive(
        connection, store, name, stream, seq
    )
    state = "committed" if archived is None else "frozen" if archived["t"] is None else "archived"
    steps |= {"sampled": sampled, "sent": {"t": None}, "received": {"t": received}, "archived": archived}
    # Received and committed are one transaction: nothing is told of a reading before its commit.
    return {"state": state, **steps, "committed": {"t": received}}


def _in_sql(connection: Connection, stream_id: int, seq: int) -> tuple[Json, int, Json | None] | None:
    row = connection.execute(
        select(*Reading.__table__.columns, Channel.sensor, Channel.unit)
        .join(Channel, Channel.id == Reading.channel_id)
        .where(Reading.stream_id == stream_id, Reading.seq == seq)
    ).one_or_none()
    if row is None:
        return None
    # Not row.t: that is SQLAlchemy's own word for the whole row.
    t: int = row._mapping["t"]
    batches = _batches(connection, stream_id, seq, t)
    correction = corrections(connection).get(row.channel_id, NONE)
    sampled = {
        "t": t, "tq": row.tq, "sensor": row.sensor, "unit": row.unit, "channel": row.channel_id,
        "measured": row.value, "value": correction.apply(row.value), "fault": row.fault,
    }  # fmt: skip
    return sampled, row.received, _archived(batches[0]) if batches else None


def _in_archive(
    connection: Connection, store: ObjectStore, name: str, stream: Row, seq: int
) -> tuple[Json, int, Json | None]:
    """The reading has left SQL: one of the objects whose span of the stream holds its seq has it."""
    for batch in _batches(connection, stream.id, seq):
        for row in decode(store.get(batch.key))[0].of_device(name).rows():
            if (row.stream, row.seq) == (stream.stream, seq):
                channel = connection.scalar(
                    select(Channel.id)
                    .join(Device, Device.id == Channel.device_id)
                    .where(Device.name == name, Channel.sensor == row.sensor, Channel.unit == row.unit)
                )
                correction = corrections(connection).get(channel or 0, NONE)
                sampled = {
                    "t": row.t, "tq": row.tq, "sensor": row.sensor, "unit": row.unit, "channel": channel,
                    "measured": row.value, "value": correction.apply(row.value), "fault": row.fault,
                }  # fmt: skip
                return sampled, row.received, _archived(batch)
    raise NotFound("No object holds this reading, though the ledger counts it.", "`python -m tools verify` says more.")


def _batches(connection: Connection, stream_id: int, seq: int, t: int | None = None) -> list[Row]:
    query = (
        select(Batch.id, Batch.key, Batch.sha256, Batch.rows, Batch.size, Batch.uploaded_at)
        .join(BatchSpan, BatchSpan.batch_id == Batch.id)
        .where(BatchSpan.stream_id == stream_id, BatchSpan.first <= seq, BatchSpan.last >= seq)
    )
    return list(connection.execute(query if t is None else query.where(Batch.day == day_of(t))))


def _archived(batch: Row) -> Json:
    found = dict(batch._mapping)
    return {"t": found.pop("uploaded_at"), "object": found.pop("id"), **found}
