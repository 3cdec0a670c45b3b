"""Tokens for programs: name and password (and code) → an access token of 15 minutes and a refresh token."""

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields, validate

from ..accounts import access, tokens, users
from ..accounts.actor import SCOPES
from ..accounts.tokens import Pair
from ..database import Database
from ..errors import NotSignedIn
from . import answers, schemas
from .contract import JSON, contract
from .shapes import Json


class Credentials(schemas.Strict):
    """code: the authenticator app's, or a recovery code, where the account asks for one. scopes: fewer than all."""

    name = schemas.line(64, 1, required=True)
    password = schemas.line(256, 1, required=True, load_only=True)
    code = schemas.line(40)
    scopes = fields.List(fields.String(validate=validate.OneOf(list(SCOPES))), validate=validate.Length(1, len(SCOPES)))


class Refresh(schemas.Strict):
    refresh_token = schemas.line(200, 1, required=True)


class TokenPair(Schema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(required=True, metadata={"description": "seconds"})


def blueprint(database: Database) -> APIBlueprint:
    auth = APIBlueprint("auth", __name__, url_prefix="/auth")

    @auth.post("/token")
    @access.open_to_all
    @contract(takes=(JSON,))
    @auth.input(Credentials, arg_name="given")
    @auth.output(TokenPair)
    def issue_token(given: Json) -> Response:
        """Sign a program in"""
        held = access.guard()
        user = held.sign_in.with_password(given["name"], given["password"], held.address)
        if user.totp:
            held.sign_in.with_code(user, given.get("code", ""), held.address)
        with database.write() as connection:
            return _answer(tokens.issue(connection, user, given.get("scopes"), users.now()))

    @auth.post("/refresh")
    @access.open_to_all
    @contract(takes=(JSON,))
    @auth.input(Refresh, arg_name="given")
    @auth.output(TokenPair)
    def refresh_token(given: Json) -> Response:
        """Exchange a refresh token, once, for the next pair; one that comes twice ends them all"""
        with database.write() as connection:
            pair = tokens.exchange(connection, given["refresh_token"], users.now())
        if pair is None:
            raise NotSignedIn("This refresh token is not known, was used before, or has ended.", "Sign in again.")
        return _answer(pair)

    @auth.post("/revoke")
    @access.open_to_all
    @contract(takes=(JSON,))
    @auth.input(Refresh, arg_name="given")
    @auth.output({}, status_code=204)
    def revoke_token(given: Json) -> Response:
        """End a refresh token and all that came of it"""
        with database.write() as connection:
            tokens.revoke(connection, given["refresh_token"], users.now())
        return answers.nothing()

    return auth


def _answer(pair: Pair) -> Response:
    body = {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
    }
    return answers.plain(body)
