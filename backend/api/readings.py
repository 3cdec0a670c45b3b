"""GET /channels/<id>/readings, /devices/<name>/readings: every reading of a range, in five forms, streamed."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import tzinfo
from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response, request
from marshmallow import fields, validate
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest, ServiceUnavailable

from ..accounts import access
from ..accounts.actor import Role
from ..database import Database
from ..errors import InputRefused
from ..objects import ObjectStore
from ..parquet import ArchivedReading, Readings, encode_stream
from ..time_zone import time_zone
from . import answers, channels, devices, formats, paging, schemas, selection, shapes
from .contract import JSON, contract
from .formats import Line
from .shapes import Json

DAY = 86_400_000
LONGEST_RANGE = 3_660 * DAY
ROW_GROUP = 20_000
# Each export holds a connection to the database until its reader has all of it.
MOST_EXPORTS = 4
CSV, NDJSON, SENML, PARQUET = (
    "text/csv",
    "application/x-ndjson",
    "application/senml+json",
    "application/vnd.apache.parquet",
)
MEDIA = {"json": JSON, "csv": CSV, "ndjson": NDJSON, "senml": SENML, "parquet": PARQUET}
Find = Callable[[Connection], list[int]]


class ReadingShape(Schema):
    """value is corrected by the calibration of this revision (0: none), measured is not."""

    channel = fields.Integer(required=True)
    device = fields.String(required=True)
    sensor = fields.String(required=True)
    unit = fields.String(required=True)
    stream = fields.String(required=True)
    seq = fields.Integer(required=True)
    t = fields.Integer(required=True)
    tq = fields.String(required=True)
    value = fields.Float(required=True, allow_none=True)
    measured = fields.Float(required=True, allow_none=True)
    calibration = fields.Integer(required=True)
    fault = fields.String(required=True, allow_none=True)
    received = fields.Integer(required=True)


class ReadingsPage(Schema):
    now = fields.Integer(required=True)
    since = fields.Integer(required=True)
    until = fields.Integer(required=True)
    readings = fields.List(fields.Nested(ReadingShape), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "cursor of the next page"})


class ReadingsAsked(Schema):
    since = schemas.time("first ms of the range; a day before `until` unless given")
    until = schemas.time("first ms after the range; now unless given")
    format = fields.String(validate=validate.OneOf(list(MEDIA)), metadata={"description": "instead of Accept"})
    unit = fields.String(
        validate=validate.OneOf(["C", "F"]),
        load_default="C",
        metadata={"description": "of temperatures; SenML and Parquet know C only"},
    )
    tz = fields.String(
        validate=validate.Length(1, 64),
        load_default="UTC",
        metadata={"description": "IANA time zone of the local column of CSV", "example": "Europe/Berlin"},
    )
    limit = schemas.asked(1, 10_000, "readings of a page; JSON only, the other forms are whole", load_default=1_000)
    cursor = fields.String(
        validate=validate.Length(1, 400), metadata={"description": "from the page before; JSON only"}
    )


FORMS: dict[int | str, Any] = {
    200: {
        "description": "the readings, by time",
        "content": {
            JSON: {"schema": ReadingsPage},
            **{media: {"schema": {"type": "string"}} for media in (CSV, NDJSON)},
            SENML: {"schema": {"type": "array", "items": {"type": "object"}}},
            PARQUET: {"schema": {"type": "string", "contentMediaType": PARQUET}},
        },
    }
}


def blueprint(database: Database, store: ObjectStore) -> APIBlueprint:
    readings = APIBlueprint("readings", __name__)
    exports = Exports(database, store)

    @readings.get("/channels/<int:channel_id>/readings")
    @access.needs(Role.VIEWER, scope="readings:read")
    @contract(gives=tuple(MEDIA.values()))
    @readings.input(ReadingsAsked, location="query", arg_name="asked")
    @readings.doc(responses=FORMS)
    def of_channel(channel_id: int, asked: Json) -> Response:
        """Every reading of a channel in a range: JSON in pages, or CSV, NDJSON, SenML, Parquet as a whole"""

        def find(connection: Connection) -> list[int]:
            channels.visible(connection, channel_id)
            return [channel_id]

        return exports.answer(find, asked, f"channel-{channel_id}")

    @readings.get("/devices/<name>/readings")
    @access.needs(Role.VIEWER, scope="readings:read")
    @contract(gives=tuple(MEDIA.values()))
    @readings.input(ReadingsAsked, location="query", arg_name="asked")
    @readings.doc(responses=FORMS)
    def of_device(name: str, asked: Json) -> Response:
        """Every reading of a device in a range: JSON in pages, or CSV, NDJSON, SenML, Parquet as a whole"""

        def find(connection: Connection) -> list[int]:
            devices.visible(connection, name)
            return selection.of_device(connection, name)

        return exports.answer(find, asked, name)

    return readings


class Exports:
    """Answers with readings. No more than MOST_EXPORTS are under way at a time."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store
        self._places = threading.BoundedSemaphore(MOST_EXPORTS)

    def answer(self, find: Find, asked: Json, name: str) -> Response:
        """find: the channels, or NotFound. Raises BadRequest, ServiceUnavailable, ObjectStoreUnavailable."""
        form = asked.get("format") or _accepted()
        since, until = channels.time_range(asked, DAY)
        if until - since > LONGEST_RANGE:
            raise BadRequest(f"A range has at most {LONGEST_RANGE // DAY:,} days: ask for it in parts.")
        if form == "json":
            return self._page(find, asked, since, until)
        return self._whole(find, asked, form, f"thermograph-{name}-{since}-{until}.{form}", since, until)

    def _page(self, find: Find, asked: Json, since: int, until: int) -> Response:
        after = paging.decode(asked.get("cursor"), *selection.POSITION)
        limit = asked["limit"]
        with self._database.read() as connection:
            rows = selection.lines(connection, find(connection), since, until, self._store, after)
            found = list(itertools.islice(rows, limit + 1))
        shown = _converted(found[:limit], asked["unit"])
        end = selection.position(found[limit - 1]) if len(found) > limit else None
        body = {
            "now": shapes.now(),
            "since": since,
            "until": until,
            "readings": [formats.as_json(line) for line in shown],
            "next": paging.encode(end),
        }
        answer = answers.json_body(body)
        # A page of a range without its end would begin elsewhere: the next one says the range as it was understood.
        answer.headers.update(paging.links(end, since=since, until=until))
        answer.headers["Cache-Control"] = "private, no-cache"
        return answer

    def _whole(self, find: Find, asked: Json, form: str, file: str, since: int, until: int) -> Response:
        encode = _encoder(form, asked)
        if not self._places.acquire(blocking=False):
            raise ServiceUnavailable(f"{MOST_EXPORTS} exports are under way already.", retry_after=10)
        parts = self._parts(find, since, until, encode)
        stream = Stream(parts, self._places.release)
        try:
            # What cannot be begun must be an error, not an empty file.
            stream.begin()
        except BaseException:
            stream.close()
            raise
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "private, no-store"}
        return Response(stream, mimetype=MEDIA[form], headers=headers)

    def _parts(
        self, find: Find, since: int, until: int, encode: Callable[[Iterable[Line]], Iterator[bytes]]
    ) -> Generator[bytes, None, None]:
        with self._database.read() as connection:
            yield from encode(selection.lines(connection, find(connection), since, until, self._store))


class Stream:
    """Bytes as they are made. A class, for the server calls close() even on one that it never began."""

    def __init__(self, parts: Generator[bytes, None, None], done: Callable[[], None]) -> None:
        self._parts = parts
        self._done: Callable[[], None] | None = done
        self._first = b""

    def begin(self) -> None:
        self._first = next(self._parts, b"")

    def __iter__(self) -> Iterator[bytes]:
        return itertools.chain((self._first,), self._parts)

    def close(self) -> None:
        with contextlib.closing(self._parts):
            done, self._done = self._done, None
        if done:
            done()


def _accepted() -> str:
    if not request.accept_mimetypes:
        return "json"
    best = request.accept_mimetypes.best_match(list(MEDIA.values()), JSON)
    return next(form for form, media in MEDIA.items() if media == best)


def _encoder(form: str, asked: Json) -> Callable[[Iterable[Line]], Iterator[bytes]]:
    unit, zone = asked["unit"], _zone(asked["tz"])
    if unit == "F" and form in ("senml", "parquet"):
        raise BadRequest(f"{form} has no Fahrenheit: leave unit out.")
    encoders: dict[str, Callable[[Iterable[Line]], Iterator[bytes]]] = {
        "csv": lambda lines: formats.csv_text(_converted(lines, unit), zone),
        "ndjson": lambda lines: formats.ndjson(_converted(lines, unit)),
        "senml": formats.senml,
        "parquet": lambda lines: encode_stream(_row_groups(lines)),
    }
    return encoders[form]


def _converted(lines: Iterable[Line], unit: str) -> Iterable[Line]:
    return (line.fahrenheit() for line in lines) if unit == "F" else lines


def _row_groups(lines: Iterable[Line]) -> Iterator[Readings]:
    """As the archive has them: as they were measured."""
    rest = iter(lines)
    while group := list(itertools.islice(rest, ROW_GROUP)):
        yield Readings.of_rows(
            ArchivedReading(
                line.device, line.stream, line.seq, line.sensor, line.unit, line.t, line.tq, line.measured, line.fault,
                line.received,
            )
            for line in group
        )  # fmt: skip


def _zone(name: str) -> tzinfo:
    try:
        return time_zone(name)
    except InputRefused as error:
        raise BadRequest(str(error)) from None
