"""Errors as answers: RFC 9457 problem details for programs, a readable page for people, never a traceback."""

import json
from http import HTTPStatus

from flask import Flask, Response, g, render_template, request
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from ..errors import ThermographError

FOR_PROGRAMS = ("/api/", "/healthz", "/readyz")


def register(app: Flask) -> None:
    """Every error of the app becomes an answer here."""

    @app.errorhandler(ThermographError)
    def on_purpose(error: ThermographError) -> Response:
        return answer(error.status, error.message, error.advice)

    @app.errorhandler(HTTPException)
    def by_flask(error: HTTPException) -> Response:
        detail = "There is nothing at this address." if error.code == 404 else error.description
        response = answer(error.code or 500, detail or "")
        # Allow and Retry-After belong to their status; the type and length are those of the old body.
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value
        return response

    @app.errorhandler(PoolTimeout)
    def all_connections_busy(_error: PoolTimeout) -> Response:
        return answer(503, "All connections to the database are busy.", "Try again.")

    @app.errorhandler(Exception)
    def by_mistake(error: Exception) -> Response:
        app.logger.exception("request %s failed", g.request_id, exc_info=error)
        return answer(500, "Something failed here that should not.", "The log has more under this request's id.")


def answer(status: int, detail: str, advice: str = "") -> Response:
    title = HTTPStatus(status).phrase
    if not request.path.startswith(FOR_PROGRAMS):
        page = render_template("problem.html", status=status, title=title, detail=detail, advice=advice)
        return Response(page, status, mimetype="text/html")
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": g.request_id}
    if advice:
        problem["advice"] = advice
    response = Response(json.dumps(problem) + "\n", status, mimetype="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    return response
