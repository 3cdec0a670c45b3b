"""GET /archive/objects: what is in the archive, with its SHA-256. Download one, or have it read back and compared."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response, request
from marshmallow import fields
from sqlalchemy import Connection, select

from ..accounts import access
from ..accounts.actor import Role
from ..database import Database
from ..errors import NotAllowed, NotFound
from ..models import Batch
from ..objects import ObjectStore
from ..parquet import decode
from . import answers, paging, schemas, shapes
from .contract import contract
from .readings import PARQUET
from .shapes import Json

COLUMNS = (
    Batch.id, Batch.day, Batch.key, Batch.sha256, Batch.size, Batch.rows, Batch.frozen_at, Batch.uploaded_at,
    Batch.dropped_at,
)  # fmt: skip


class ArchiveObject(Schema):
    """uploaded_at: null while it waits for S3. dropped_at: when its readings left SQL, S3 having been compared."""

    id = fields.Integer(required=True)
    day = fields.String(required=True)
    key = fields.String(required=True)
    sha256 = fields.String(required=True)
    size = fields.Integer(required=True)
    rows = fields.Integer(required=True)
    frozen_at = fields.Integer(required=True)
    uploaded_at = fields.Integer(required=True, allow_none=True)
    dropped_at = fields.Integer(required=True, allow_none=True)


class ArchiveObjects(Schema):
    now = fields.Integer(required=True)
    objects = fields.List(fields.Nested(ArchiveObject), required=True)


class Verification(Schema):
    """What S3 gave back, beside what SQL says it should be."""

    ok = fields.Boolean(required=True)
    checked_at = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    size = fields.Integer(required=True)
    rows = fields.Integer(required=True, allow_none=True)
    expected = fields.Nested(ArchiveObject, required=True)


class ObjectsAsked(schemas.Paged):
    day = fields.Date(metadata={"description": "of this UTC day only"})


BYTES: dict[int | str, Any] = {200: {"description": "the object's very bytes", "content": {PARQUET: {"schema": {}}}}}


def blueprint(database: Database, store: ObjectStore) -> APIBlueprint:
    archive = APIBlueprint("archive", __name__, url_prefix="/archive/objects")

    @archive.get("")
    @access.needs(Role.VIEWER, scope="archive:read")
    @archive.input(ObjectsAsked, location="query", arg_name="asked")
    @archive.output(ArchiveObjects)
    def list_objects(asked: Json) -> Response:
        """Archive objects, oldest first"""
        _all_places()
        after, limit = paging.decode(asked.get("cursor"), int), asked["limit"]
        query = select(*COLUMNS).where(Batch.id > (after[0] if after else 0)).order_by(Batch.id).limit(limit + 1)
        if day := asked.get("day"):
            query = query.where(Batch.day == day.isoformat())
        with database.read() as connection:
            found = [dict(row._mapping) for row in connection.execute(query)]
        end = [found[limit - 1]["id"]] if len(found) > limit else None
        return answers.tagged({"now": shapes.now(), "objects": found[:limit]}, headers=paging.links(end))

    @archive.get("/<int:object_id>")
    @access.needs(Role.VIEWER, scope="archive:read")
    @archive.output(ArchiveObject)
    def show_object(object_id: int) -> Response:
        """One archive object"""
        _all_places()
        with database.read() as connection:
            return answers.tagged(_object(connection, object_id))

    @archive.get("/<int:object_id>/content")
    @access.needs(Role.VIEWER, scope="archive:read")
    @contract(gives=(PARQUET,))
    @archive.doc(responses=BYTES)
    def download(object_id: int) -> Response:
        """The object itself: a Parquet file, as it is on S3"""
        _all_places()
        with database.read() as connection:
            entry = _object(connection, object_id)
            waiting = connection.scalar(select(Batch.body).where(Batch.id == object_id))
        digest = base64.b64encode(bytes.fromhex(entry["sha256"])).decode()
        headers = {
            "Content-Disposition": f'attachment; filename="{entry["day"]}-{entry["sha256"][:32]}.parquet"',
            "Content-Length": str(entry["size"]),
            "Repr-Digest": f"sha-256=:{digest}:",
            "Cache-Control": "private, no-cache",
        }
        answer = Response(b"", mimetype=PARQUET)
        answer.set_etag(entry["sha256"])
        if request.if_none_match and entry["sha256"] in request.if_none_match:
            answer.make_conditional(request)
            return answer
        answer.headers.update(headers)
        answer.response = [waiting] if waiting is not None else _stream(store, entry["key"])
        return answer

    @archive.post("/<int:object_id>/verification")
    @access.needs(Role.VIEWER, scope="archive:read")
    @archive.output(Verification)
    def verify(object_id: int) -> Response:
        """Read the object back from S3 and compare it with what SQL knows of it"""
        _all_places()
        with database.read() as connection:
            entry = _object(connection, object_id)
        return answers.plain(_verified(store, entry))

    return archive


def _all_places() -> None:
    """An object holds many devices' readings: it is for those only who may see every one."""
    if access.actor().places is not None:
        raise NotAllowed("Archive objects hold readings of all places.", "Export the readings of your devices instead.")


def _object(connection: Connection, object_id: int) -> Json:
    row = connection.execute(select(*COLUMNS).where(Batch.id == min(object_id, 2**63 - 1))).one_or_none()
    if row is None:
        raise NotFound(f"There is no archive object {object_id}.", "A day's objects become one: list them again.")
    return dict(row._mapping)


def _stream(store: ObjectStore, key: str) -> Iterator[bytes]:
    """The first piece is asked for here: what is not there must be an error, not a short file."""
    pieces = store.stream(key)
    return _from(next(pieces, b""), pieces)


def _from(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _verified(store: ObjectStore, entry: Json) -> Json:
    body = store.get(entry["key"]) if entry["uploaded_at"] is not None else b""
    found: dict[str, Any] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    try:
        found["rows"] = len(decode(body)[0])
    except ValueError:
        found["rows"] = None
    ok = all(found[name] == entry[name] for name in found)
    return {"ok": ok, "checked_at": shapes.now(), **found, "expected": entry}
