"""POST /devices/<name>/readings: for devices that speak HTTP. Wire, commit and promise are those of MQTT."""

from apiflask import APIBlueprint, Schema
from flask import Response, request
from marshmallow import fields
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from ..accounts import access
from ..accounts.actor import Role
from ..bus import Message
from ..commit import Ack, Commit
from ..database import Database
from ..errors import MessageRejected, NotFound
from ..models import Device
from ..reading import Meaning, Parser, Telemetry, ToldGap
from . import answers, problems, schemas, shapes
from .contract import JSON, contract


class AckShape(Schema):
    """Stored, or accounted for as a gap, contiguously, up to seq: the device may forget these."""

    stream = fields.String(required=True)
    seq = fields.Integer(required=True)


WIRE = {
    "type": "object",
    "description": "telemetry or a gap, as DESIGN.md's wire, version 1, has them (tests/wire/v1)",
    "examples": [
        {"v": 1, "stream": "9f3a1c02", "seq": 1, "t": 1763812345000, "tq": "ntp", "ch": [["probe", "Cel"]],
         "r": [[0, 0, 21.4375], [60000, 0, None, "crc"]]},
        {"v": 1, "stream": "9f3a1c02", "gap": [3, 7], "cause": "flash-full"},
    ],
}  # fmt: skip


def blueprint(database: Database, enrolment: str) -> APIBlueprint:
    telemetry = APIBlueprint("telemetry", __name__)

    @telemetry.post("/devices/<name>/readings")
    @access.needs(Role.OPERATOR, scope="readings:write")
    @contract(takes=(JSON,), body=WIRE)
    @telemetry.output(AckShape)
    def take_readings(name: str) -> Response:
        """Hand in readings of a device; the answer is the application ack

        It says up to which seq the stream is stored. What was stored before is dropped, so send again whatever was not
        acknowledged. A refused message is kept, and the problem says as `ack` how far the stream came all the same.
        """
        with database.read() as connection:
            _may_send(connection, name)
        return Intake(database, enrolment).take(name, request.get_data())

    return telemetry


class Intake:
    def __init__(self, database: Database, enrolment: str) -> None:
        self._database = database
        self._enrolment = enrolment

    def take(self, name: str, payload: bytes) -> Response:
        """Commit one message as ingest would; only then answer. Raises DatabaseUnavailable."""
        message = Message(f"thermograph/v1/{name}/telemetry".encode(), payload, shapes.now())
        (meaning,) = Parser().understand([message])
        try:
            acks, rejected = self._commit(message, meaning)
        except DBAPIError as error:
            meaning = _refused(meaning, error)
            acks, rejected = self._commit(message, meaning)
        told = [{"stream": ack.stream, "seq": ack.seq} for ack in acks]
        if not rejected:
            return answers.json_body(told[0] if told else {"stream": _stream(meaning), "seq": 0})
        reason = meaning.message if isinstance(meaning, MessageRejected) else f"The device {name} is not enrolled."
        return problems.answer(422, reason, "The message is kept as rejected.", ack=told[0] if told else None)

    def _commit(self, message: Message, meaning: Meaning | MessageRejected) -> tuple[list[Ack], int]:
        with self._database.write() as connection:
            commit = Commit(connection, self._enrolment, [message], [meaning])
            commit.find()
            commit.take()
            committed = commit.write()
        return committed.acks, committed.rejected


def _may_send(connection: Connection, name: str) -> None:
    """Raises NotFound for a device that the actor may not see. One that nobody knows yet may be enrolled."""
    if not schemas.is_device_name(name):
        raise NotFound("There is no such device.", "A device's name has 1 to 64 of a-z, 0-9 and -.")
    known = connection.scalar(select(Device.id).where(Device.name == name)) is not None
    if known or access.actor().places is not None:
        access.must_see(connection, name)


def _stream(meaning: Meaning | MessageRejected) -> str:
    return meaning.stream or "" if isinstance(meaning, Telemetry | ToldGap) else ""


def _refused(meaning: Meaning | MessageRejected, error: DBAPIError) -> MessageRejected:
    held = None
    if isinstance(meaning, Telemetry | ToldGap):
        held = (meaning.stream, meaning.first, meaning.last)
    return MessageRejected(f"the database refused it: {type(error.orig).__name__}", held)
