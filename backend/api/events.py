"""GET /events: what is committed, as server-sent events. README.md lists the events."""

import contextlib
import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from apiflask import APIBlueprint
from flask import Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from ..accounts import access
from ..accounts.actor import Actor, Role
from ..database import Database
from ..errors import DatabaseUnavailable
from . import shapes
from .contract import contract
from .live import Live, News
from .shapes import Json

RECONNECT_AFTER = 1_000
KNOWS_NOTHING = -1


LOOK_EVERY = 60.0


class Sight(NamedTuple):
    """known: the credentials still hold. devices: names of those that may be seen, None: all."""

    known: bool
    devices: set[str] | None


EVENTS = "text/event-stream"
DESCRIBED: dict[int | str, Any] = {
    200: {"description": "events for ever: README.md lists them", "content": {EVENTS: {"schema": {}}}}
}
Look = Callable[[], Sight]


def blueprint(database: Database, live: Live) -> APIBlueprint:
    events = APIBlueprint("events", __name__)

    @events.get("/events")
    @access.needs(Role.VIEWER, scope="readings:read")
    @contract(gives=(EVENTS,))
    @events.doc(responses=DESCRIBED)
    def stream_events() -> ResponseReturnValue:
        """What is committed, as server-sent events; `Last-Event-ID` or `since` says what you know"""
        if not live.open_stream():
            raise ServiceUnavailable("All event streams are taken, or the server is ending.", retry_after=5)
        # EventSource sends the header by itself when it reconnects; the address says what the page was made from.
        known = request.headers.get("Last-Event-ID") or request.args.get("since", "")
        stream = Stream(live, _cursor(known), _look(database))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Response(stream, mimetype=EVENTS, headers=headers)

    return events


class Stream:
    """One reader's events as bytes. A class, for the server calls close() even on one that it never began."""

    def __init__(self, live: Live, cursor: int, look: Look) -> None:
        self._live: Live | None = live
        self._events = _events(live, cursor, look)

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        self._events.close()
        if self._live:
            self._live.close_stream()
            self._live = None


def _events(live: Live, cursor: int, look: Look) -> Generator[bytes, None, None]:
    yield f"retry: {RECONNECT_AFTER}\n\n".encode()
    available, sight = True, look()
    # At once, so that a reader behind a proxy knows that it is connected, and what the time is here.
    yield event("heartbeat", {"now": shapes.now()})
    for news in live.follow(cursor):
        sight = look()
        if not sight.known:
            return
        if news is None:
            yield event("heartbeat", {"now": shapes.now()})
            continue
        if news.available != available:
            available = news.available
            yield event("database", {"now": shapes.now(), "available": available})
        if news.devices or news.commit != cursor:
            cursor = news.commit
            yield change(news, sight.devices)


def _look(database: Database) -> Look:
    """A function that says what the one who asks may see by then. It asks SQL once in LOOK_EVERY seconds, for a
    stream may be one of hundreds; while the database is away, what it said last holds.
    """
    still_there, actor = access.still_there(), access.actor()
    last = Sight(True, set() if actor.places is not None else None)
    looked_at = -LOOK_EVERY

    def look() -> Sight:
        nonlocal last, looked_at
        if time.monotonic() - looked_at >= LOOK_EVERY:
            with contextlib.suppress(DatabaseUnavailable):
                last = _sight(database, still_there())
                looked_at = time.monotonic()
        return last

    return look


def _sight(database: Database, actor: Actor | None) -> Sight:
    if actor is None:
        return Sight(False, set())
    if actor.places is None:
        return Sight(True, None)
    with database.read() as connection:
        return Sight(True, access.visible_to(connection, actor))


def event(name: str, data: Json) -> bytes:
    """One event on the wire, without an id: resuming after a heartbeat must skip nothing."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def change(news: News, among: set[str] | None) -> bytes:
    """The one that carries state. among: names of the devices that its reader may see, None: all."""
    data = f'{{"now":{shapes.now()},"commit":{news.commit},"devices":{news.told(among)}}}'
    return f"id: {news.commit}\nevent: change\ndata: {data}\n\n".encode()


def _cursor(text: str) -> int:
    """The commit number that the reader knows; whatever else it says means that it knows nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else KNOWS_NOTHING
