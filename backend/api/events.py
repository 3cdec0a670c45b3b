"""GET /events: what is committed, as server-sent events. README.md lists the events."""

import json
from collections.abc import Generator, Iterator

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from . import shapes
from .live import Live
from .shapes import Json

RECONNECT_AFTER = 1_000
KNOWS_NOTHING = -1


def blueprint(live: Live) -> Blueprint:
    events = Blueprint("events", __name__)

    @events.get("/events")
    def stream_events() -> ResponseReturnValue:
        if not live.open_stream():
            raise ServiceUnavailable("All event streams are taken, or the server is ending.", retry_after=5)
        # EventSource sends the header by itself when it reconnects; the address says what the page was made from.
        stream = Stream(live, _cursor(request.headers.get("Last-Event-ID") or request.args.get("since", "")))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Response(stream, mimetype="text/event-stream", headers=headers)

    return events


class Stream:
    """One reader's events as bytes. A class, for the server calls close() even on one that it never began."""

    def __init__(self, live: Live, cursor: int) -> None:
        self._live: Live | None = live
        self._events = _events(live, cursor)

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        self._events.close()
        if self._live:
            self._live.close_stream()
            self._live = None


def _events(live: Live, cursor: int) -> Generator[bytes, None, None]:
    yield f"retry: {RECONNECT_AFTER}\n\n".encode()
    available = True
    # At once, so that a reader behind a proxy knows that it is connected, and what the time is here.
    yield event("heartbeat", {"now": shapes.now()})
    for news in live.follow(cursor):
        if news is None:
            yield event("heartbeat", {"now": shapes.now()})
            continue
        if news.available != available:
            available = news.available
            yield event("database", {"now": shapes.now(), "available": available})
        if news.commit != cursor:
            cursor = news.commit
            yield event("change", {"now": shapes.now(), "commit": cursor, "devices": news.devices}, cursor)


def event(name: str, data: Json, number: int | None = None) -> bytes:
    """One event on the wire. Only what carries state has an id: resuming after a heartbeat must skip nothing."""
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _cursor(text: str) -> int:
    """The commit number that the reader knows; whatever else it says means that it knows nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else KNOWS_NOTHING
