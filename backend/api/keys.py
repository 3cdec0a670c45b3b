"""API keys: one's own for everybody, everybody's for admins. A key's text is shown once."""

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields, validate
from sqlalchemy import Connection

from ..accounts import access, keys
from ..accounts.actor import SCOPES, Role
from ..accounts.keys import Key
from ..database import Database
from ..errors import NotAllowed, NotFound
from . import answers, paging, schemas, shapes
from .contract import JSON, contract
from .idempotency import once
from .shapes import Json


class KeyShape(Schema):
    """prefix: the part of the key that names it."""

    id = fields.Integer(required=True)
    prefix = fields.String(required=True)
    user = fields.Integer(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created = fields.Integer(required=True)
    expires = fields.Integer(required=True, allow_none=True)
    used = fields.Integer(required=True, allow_none=True)
    revoked_at = fields.Integer(required=True, allow_none=True)


class MadeKey(KeyShape):
    key = fields.String(required=True, metadata={"description": "the key itself; shown this once"})


class KeyList(Schema):
    now = fields.Integer(required=True)
    keys = fields.List(fields.Nested(KeyShape), required=True)


class NewKey(schemas.Strict):
    name = schemas.line(120, 1, required=True)
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))), required=True, validate=validate.Length(1, len(SCOPES))
    )
    expires = schemas.whole(0, schemas.LAST_TIME, "Unix ms", allow_none=True)


def blueprint(database: Database) -> APIBlueprint:
    found = APIBlueprint("keys", __name__, url_prefix="/keys")

    @found.get("")
    @access.needs(Role.VIEWER, scope="accounts:read")
    @found.input(schemas.Paged, location="query", arg_name="asked")
    @found.output(KeyList)
    def list_keys(asked: Json) -> Response:
        """Your keys; an admin sees everybody's"""
        after = paging.decode(asked.get("cursor"), int)
        with database.read() as connection:
            of_user = keys.of_user(connection, _whose())
        page, end = paging.page(of_user, lambda key: [key.id], after, asked["limit"])
        body = {"now": shapes.now(), "keys": [_shape(key) for key in page]}
        return answers.tagged(body, headers=paging.links(end))

    @found.get("/<int:key_id>")
    @access.needs(Role.VIEWER, scope="accounts:read")
    @found.output(KeyShape)
    def show_key(key_id: int) -> Response:
        """One key"""
        with database.read() as connection:
            key = _visible(connection, key_id)
            return answers.tagged(_shape(key), version=_version(key))

    @found.post("")
    @access.needs(Role.VIEWER, scope="accounts:write")
    @contract(takes=(JSON,), idempotent=True)
    @found.input(NewKey, arg_name="wanted")
    @found.output(MadeKey, status_code=201)
    def add_key(wanted: Json) -> Response:
        """Make a key for yourself; its text is shown this once"""
        actor = access.actor()
        # A key that could make keys of more scopes than its own would have all of them.
        if actor.scopes is not None and not set(wanted["scopes"]) <= actor.scopes:
            raise NotAllowed("A key or token gives no scope that it has not itself.", "Sign in and make the key there.")

        def work(connection: Connection) -> Response:
            made, text = keys.add(connection, actor, actor.id, wanted["name"], wanted["scopes"], wanted.get("expires"))
            return answers.created({**_shape(made), "key": text}, f"/api/v1/keys/{made.id}")

        return once(database, work, secret=True)

    @found.delete("/<int:key_id>")
    @access.needs(Role.VIEWER, scope="accounts:write")
    @contract(conditional=True)
    @found.output({}, status_code=204)
    def revoke_key(key_id: int) -> Response:
        """Revoke a key: it opens nothing any more, and stays listed"""
        with database.write() as connection:
            key = _visible(connection, key_id)
            answers.required(_version(key))
            keys.revoke(connection, access.actor(), key.id, _whose())
        return answers.nothing()

    return found


def _whose() -> int | None:
    """Whose keys may be seen: one's own, or, None, everybody's."""
    actor = access.actor()
    return None if actor.may(Role.ADMIN) else actor.id


def _visible(connection: Connection, key_id: int) -> Key:
    for key in keys.of_user(connection, _whose()):
        if key.id == key_id:
            return key
    raise NotFound(f"There is no key {key_id}.")


def _version(key: Key) -> str:
    # Not its last use: a key at work would always be newer than what was read.
    return answers.tag([key.prefix, key.revoked_at])


def _shape(key: Key) -> Json:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "user": key.user_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "used": key.used,
        "revoked_at": key.revoked_at,
    }
