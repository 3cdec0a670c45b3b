"""Accounts, for admins: list, one, make, change, remove."""

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields, validate
from sqlalchemy import Connection

from ..accounts import access, users
from ..accounts.actor import Role
from ..accounts.passwords import check_choice
from ..accounts.users import User
from ..database import Database
from . import answers, paging, schemas, shapes
from .contract import JSON, contract
from .devices import MERGE
from .idempotency import once
from .shapes import Json

ROLES = [role.word for role in Role]


class UserShape(Schema):
    """places: of the devices that the account sees, null: all. totp: a code is asked for besides the password."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    places = fields.List(fields.String(), required=True, allow_none=True)
    created = fields.Integer(required=True)
    disabled_at = fields.Integer(required=True, allow_none=True)
    totp = fields.Boolean(required=True)


class UserList(Schema):
    now = fields.Integer(required=True)
    users = fields.List(fields.Nested(UserShape), required=True)


def _places() -> fields.List:
    return fields.List(schemas.line(120, 1), allow_none=True, validate=validate.Length(max=200))


class NewUser(schemas.Strict):
    name = schemas.line(64, 1, required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    password = fields.String(required=True, validate=validate.Length(1, 500))
    places = _places()


class UserChange(schemas.Strict):
    """What is not named stays."""

    role = fields.String(validate=validate.OneOf(ROLES))
    places = _places()
    disabled = schemas.Truth()


def blueprint(database: Database) -> APIBlueprint:
    found = APIBlueprint("users", __name__, url_prefix="/users")

    @found.get("")
    @access.needs(Role.ADMIN, scope="accounts:read")
    @found.input(schemas.Paged, location="query", arg_name="asked")
    @found.output(UserList)
    def list_users(asked: Json) -> Response:
        """All accounts"""
        after = paging.decode(asked.get("cursor"), int)
        with database.read() as connection:
            everyone = users.everyone(connection)
        page, end = paging.page(everyone, lambda user: [user.id], after, asked["limit"])
        body = {"now": shapes.now(), "users": [shape(user) for user in page]}
        return answers.tagged(body, headers=paging.links(end))

    @found.get("/<int:user_id>")
    @access.needs(Role.ADMIN, scope="accounts:read")
    @found.output(UserShape)
    def show_user(user_id: int) -> Response:
        """One account"""
        with database.read() as connection:
            return answers.tagged(shape(users.by_id(connection, min(user_id, 2**63 - 1))))

    @found.post("")
    @access.needs(Role.ADMIN, scope="accounts:write")
    @contract(takes=(JSON,), idempotent=True)
    @found.input(NewUser, arg_name="wanted")
    @found.output(UserShape, status_code=201)
    def add_user(wanted: Json) -> Response:
        """Make an account"""
        name = users.normal_name(wanted["name"])
        check_choice(wanted["password"], name)
        # Before the transaction: a good hash takes its time, and nobody else could write meanwhile.
        kept = access.guard().passwords.hash(wanted["password"])

        def work(connection: Connection) -> Response:
            role = Role.named(wanted["role"])
            made = users.add(connection, access.actor(), name, role, kept, wanted.get("places"))
            return answers.created(shape(made), f"/api/v1/users/{made.id}")

        return once(database, work)

    @found.patch("/<int:user_id>")
    @access.needs(Role.ADMIN, scope="accounts:write")
    @contract(takes=MERGE, conditional=True)
    @found.input(UserChange, arg_name="change")
    @found.output(UserShape)
    def change_user(user_id: int, change: Json) -> Response:
        """Change an account's role and places, or shut it out"""
        with database.write() as connection:
            user = _unchanged(connection, user_id)
            changed = users.change(
                connection,
                access.actor(),
                user,
                role=Role.named(change["role"]) if "role" in change else user.role,
                places=change.get("places", user.places),
                disabled=change.get("disabled", user.disabled_at is not None),
            )
            return answers.tagged(shape(changed))

    @found.delete("/<int:user_id>")
    @access.needs(Role.ADMIN, scope="accounts:write")
    @contract(conditional=True)
    @found.output({}, status_code=204)
    def remove_user(user_id: int) -> Response:
        """Remove an account with its keys; the audit log keeps its name"""
        with database.write() as connection:
            users.remove(connection, access.actor(), _unchanged(connection, user_id))
        return answers.nothing()

    return found


def shape(user: User) -> Json:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role.word,
        "places": None if user.places is None else sorted(user.places),
        "created": user.created,
        "disabled_at": user.disabled_at,
        "totp": user.totp,
    }


def _unchanged(connection: Connection, user_id: int) -> User:
    user = users.by_id(connection, min(user_id, 2**63 - 1))
    answers.required(answers.tag(shape(user)))
    return user
