"""Errors as answers: RFC 9457 problem details for programs, a readable page for people, never a traceback."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apiflask.exceptions import HTTPError
from flask import Flask, Response, g, render_template, request
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from ..accounts.guard import FOR_PROGRAMS
from ..errors import ThermographError

MOST_TOLD = 20


def register(app: Flask) -> None:
    """Every error of the app becomes an answer here."""

    @app.errorhandler(ThermographError)
    def on_purpose(error: ThermographError) -> Response:
        response = answer(error.status, error.message, error.advice)
        response.headers.extend(error.headers)
        return response

    @app.errorhandler(HTTPException)
    def by_flask(error: HTTPException) -> Response:
        detail = "There is nothing at this address." if error.code == 404 else error.description
        response = answer(error.code or 500, detail or "")
        # Allow and Retry-After belong to their status; the type and length are those of the old body.
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value
        return response

    @app.errorhandler(HTTPError)
    def by_schema(error: HTTPError) -> Response:
        wrong = list(_wrong_fields(error.detail))
        # What cannot be read at all is 400, what can be and makes no sense is 422.
        status = 422 if isinstance(error.detail, dict) and "json" in error.detail else 400
        detail = "; ".join(f"{one['field']}: {one['message']}" for one in wrong[:MOST_TOLD]) or error.message or ""
        return answer(status, detail, errors=wrong[:MOST_TOLD])

    @app.errorhandler(PoolTimeout)
    def all_connections_busy(_error: PoolTimeout) -> Response:
        return answer(503, "All connections to the database are busy.", "Try again.")

    @app.errorhandler(Exception)
    def by_mistake(error: Exception) -> Response:
        app.logger.exception("request %s failed", g.request_id, exc_info=error)
        return answer(500, "Something failed here that should not.", "The log has more under this request's id.")


def answer(status: int, detail: str, advice: str = "", **more: Any) -> Response:
    """more: further members of the problem (RFC 9457, section 3.2)."""
    title = HTTPStatus(status).phrase
    if not request.path.startswith(FOR_PROGRAMS):
        page = render_template("problem.html", status=status, title=title, detail=detail, advice=advice)
        return Response(page, status, mimetype="text/html")
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": g.request_id,
    }
    if advice:
        problem["advice"] = advice
    problem |= more
    response = Response(json.dumps(problem) + "\n", status, mimetype="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _wrong_fields(detail: Any, path: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """Each field that a schema found wrong: {field, message}. detail: {location: {field: [message] or deeper}}."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            # The fields' names are the client's own: cut, so that an answer cannot be made to grow.
            yield from _wrong_fields(inner, (*path, str(name)[:64]))
    elif isinstance(detail, list):
        for message in detail:
            yield from _wrong_fields(message, path)
    else:
        yield {"field": ".".join(path[1:]) or (path[0] if path else "request"), "message": str(detail)[:200]}
