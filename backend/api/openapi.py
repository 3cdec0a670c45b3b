"""GET /api/v1/openapi.json: the API's own description (OpenAPI 3.1), made of its routes. GET /api/docs shows it."""

import json
import threading
import warnings
from typing import Any

from apiflask import APIFlask
from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from ..accounts import access
from . import answers, contract, reference, schemas
from .contract import JSON, Contract

TITLE, VERSION = "Thermograph", "1.0.0"
ABOUT = """Every reading accounted for, from the sensor's pin to the S3 object.

Times and durations are milliseconds, times Unix UTC. Errors are RFC 9457 problems. Lists come in pages: follow `Link`.
Send the `ETag` you were given as `If-None-Match` to learn cheaply that nothing changed, as `If-Match` to change only
what you have seen. With an `Idempotency-Key` a POST may be sent again."""
PROBLEM = "application/problem+json"
ID = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
PATH = {
    "name": {"type": "string", "pattern": f"^{schemas.DEVICE_NAME}$"},
    "stream": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
    "seq": {"type": "integer", "minimum": 1, "maximum": 2**40},
}
# Refusals that any operation may give, besides those of its own.
EVERYWHERE = {
    "400": "what was sent cannot be read",
    "401": "no credentials, or wrong ones",
    "403": "the credentials do not allow this",
    "404": "there is no such thing, or it is not for you to see",
    "406": "no such form of it",
    "429": "too many requests",
    "503": "database or archive did not answer; try again",
}
OF_BODIES = {"409": "it is there already", "413": "too large", "415": "not this media type", "422": "makes no sense"}
OF_CONDITIONS = {"412": "it was changed since you read it", "428": "needs If-Match"}


def blueprint() -> Blueprint:
    described = Blueprint("openapi", __name__)

    @described.get("/openapi.json")
    @access.open_to_all
    def show_openapi() -> ResponseReturnValue:
        return answers.tagged(current_app.extensions["openapi"].document())

    return described


def pages() -> Blueprint:
    docs = Blueprint("api_docs", __name__)

    @docs.get("/api/docs")
    @access.open_to_all
    def show_docs() -> ResponseReturnValue:
        document = current_app.extensions["openapi"].document()
        sections = reference.sections(document, request.host_url.rstrip("/"))
        shapes = reference.shapes(document)
        return render_template("api_docs.html", info=document["info"], sections=sections, shapes=shapes)

    return docs


class Description:
    """The app's description, made when it is asked for first: it takes a quarter of a second."""

    def __init__(self, app: APIFlask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._document: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        with self._lock:
            if self._document is None:
                self._document = describe(self._app)
            return self._document


def describe(app: APIFlask) -> dict[str, Any]:
    """The description of all routes that are there."""
    app.config |= {
        "AUTO_SERVERS": False,
        "AUTO_200_RESPONSE": False,
        "AUTO_404_RESPONSE": False,
        "AUTO_VALIDATION_ERROR_RESPONSE": False,
        "AUTO_OPERATION_ID": True,
        "SECURITY_SCHEMES": {
            "key": {"type": "http", "scheme": "bearer", "description": "an API key, or a token of /auth/token"},
            "session": {"type": "apiKey", "in": "cookie", "name": "thermograph"},
        },
    }
    app.description = ABOUT
    with warnings.catch_warnings():
        # A schema that stands alone in one answer and in a list in another is seen twice; it is the same both times.
        warnings.filterwarnings("ignore", message=".*has already been added to the spec")
        document = app.spec
    assert isinstance(document, dict)  # noqa: S101 - what JSON is; YAML would be text
    document = _without_twins(document)
    for tag in document["tags"]:
        tag["name"] = _tag(tag["name"])
    views = {f"{method.lower()}_{endpoint.replace('.', '_')}": view
             for endpoint, view in app.view_functions.items() for method in reference.METHODS}  # fmt: skip
    document["components"].setdefault("schemas", {})["Problem"] = _problem()
    for operations in document["paths"].values():
        for method in reference.METHODS:
            if method in operations:
                operation = operations[method]
                operation["tags"] = [_tag(name) for name in operation["tags"]]
                _complete(method, operation, views[operation["operationId"]])
    return document


def _tag(name: str) -> str:
    """APIFlask names it by its blueprint: "Api.Device_Settings" are device settings."""
    return name.removeprefix("Api.").replace("_", " ").capitalize()


def _without_twins(document: dict[str, Any]) -> dict[str, Any]:
    """A schema that stands alone in one answer and in a list in another got two names, NAME and NAME1: one will do."""
    schemas_, text = document["components"]["schemas"], json.dumps(document)
    for name in list(schemas_):
        if name.endswith("1") and schemas_.get(name[:-1]) == schemas_[name]:
            text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{name[:-1]}"')
    merged: dict[str, Any] = json.loads(text)
    for name in [name for name in schemas_ if f'"#/components/schemas/{name}"' not in text]:
        del merged["components"]["schemas"][name]
    return merged


def _complete(method: str, operation: dict[str, Any], view: Any) -> None:
    agreed = contract.of(view)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] = PATH.get(parameter["name"], ID)
    operation.setdefault("parameters", []).extend(_headers(agreed))
    refusals = EVERYWHERE | (OF_BODIES if agreed.takes or method == "post" else {})
    refusals |= OF_CONDITIONS if agreed.conditional else {}
    for status, about in refusals.items():
        operation["responses"].setdefault(status, _refusal(about))
    if method == "get" and JSON in agreed.gives:
        operation["responses"]["304"] = {"description": "as you know it"}
    _secure(operation, view)
    if agreed.body is not None:
        operation["requestBody"] = {"content": {JSON: {"schema": agreed.body}}}
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        operation["requestBody"]["required"] = True
        operation["requestBody"]["content"] = dict.fromkeys(agreed.takes, content[JSON])


def _secure(operation: dict[str, Any], view: Any) -> None:
    declared = getattr(view, "access_need", None)
    if declared is None or declared.role is None:
        operation["security"] = []
        return
    operation["security"] = [{"key": []}, {"session": []}] if declared.scope else [{"session": []}]
    scope = f", scope `{declared.scope}`" if declared.scope else ""
    needs = f"Needs the role {declared.role.word}{scope}."
    operation["description"] = "\n\n".join(part for part in (operation.get("description"), needs) if part)


def _headers(agreed: Contract) -> list[dict[str, Any]]:
    text = {"type": "string", "maxLength": 128, "pattern": "^[!-~]{1,128}$"}
    found = []
    if agreed.idempotent:
        about = "the same key within a day gives the same answer, and does nothing more"
        found.append({"in": "header", "name": "Idempotency-Key", "schema": text, "description": about})
    if agreed.conditional:
        about = "the ETag of what you read, or *; missing: 428"
        found.append({"in": "header", "name": "If-Match", "schema": {"type": "string"}, "description": about})
    return found


def _refusal(about: str) -> dict[str, Any]:
    return {"description": about, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _problem() -> dict[str, Any]:
    """RFC 9457, with the request's id."""
    texts = {"type", "title", "detail", "request_id", "advice"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            **{name: {"type": "string"} for name in sorted(texts)},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                },
            },
            "ack": {"type": ["object", "null"], "description": "how far the stream is accounted for all the same"},
        },
    }
