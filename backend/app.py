"""The web process: the composition root of API and pages, and the server that carries them."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apiflask import APIFlask
from flask import Flask
from waitress import create_server, wasyncore

from . import api, limits, web
from .accounts import access
from .accounts.guard import Guard
from .api import health, live, metrics, newest, openapi, problems
from .database import Database
from .errors import PortBusy
from .garbage import collect_rarely
from .newest_cache import FromSql, NewestCache
from .objects import ObjectStore
from .settings import Settings
from .shared_memory import SharedMemory
from .web import admin, compression, security

log = logging.getLogger(__name__)

# A thread for every event stream that may be open, and some for everything else.
THREADS = live.MOST_STREAMS + 16
CONNECTIONS = 1_000
LARGEST_BODY = 1_000_000
STOP_WITHIN = 3.0


def create_app(settings: Settings, database: Database) -> Flask:
    """The WSGI application on an open database. app.extensions["live"].close() ends its event streams."""
    app = APIFlask(
        __name__,
        openapi.TITLE,
        openapi.VERSION,
        static_folder="web/static",
        template_folder="web/templates",
        enable_openapi=False,  # its pages load from other hosts: openapi.py has ours
        json_errors=False,
    )
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    watcher = live.Live(database)
    app.extensions["live"] = watcher
    memory = SharedMemory(settings.redis, settings.redis_password) if settings.redis else None
    app.extensions["shared_memory"] = memory
    app.extensions[newest.EXTENSION] = NewestCache(memory) if memory else FromSql()
    counts = metrics.Metrics(database, watcher)
    counts.register(app)
    # Flask runs after_request from the last to the first: security sees what all others made.
    security.register(app)
    compression.register(app)
    problems.register(app)
    guard = Guard(database, settings, limits.choose(memory))
    guard.register(app)
    app.register_blueprint(health.blueprint(database))
    store = ObjectStore(settings)
    app.register_blueprint(api.blueprint(settings, database, store, watcher))
    app.register_blueprint(web.blueprint(settings, database, store))
    app.register_blueprint(metrics.blueprint(counts))
    app.register_blueprint(openapi.pages())
    admin.register(app, database, guard)
    guard.enforce(access.check(app))
    app.extensions["openapi"] = openapi.Description(app)
    return app


def serve(settings: Settings) -> None:
    """Serve pages and API until SIGTERM or SIGINT; open event streams are ended first.

    Raises SettingsError when the tables are not this release's, PortBusy, DatabaseUnavailable.
    """
    database = Database(settings.database, settings.database_password)
    try:
        database.check_revision()
        app = create_app(settings, database)
        # A chart is thousands of objects, none in a cycle; to search for some took as long as the rest of its request.
        collect_rarely(20_000)
        try:
            with _stop_signals() as stopping:
                _serve(app, settings, stopping)
        finally:
            if memory := app.extensions["shared_memory"]:
                memory.close()
    finally:
        database.close()


def _serve(app: Flask, settings: Settings, stopping: threading.Event) -> None:
    sockets: dict[int, Any] = {}
    listener = _listen(settings)
    server = create_server(
        app,
        map=sockets,
        sockets=[listener],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        clear_untrusted_proxy_headers=True,
        trusted_proxy=settings.web_proxy or None,
        trusted_proxy_headers={"x-forwarded-for"} if settings.web_proxy else set(),
        max_request_body_size=LARGEST_BODY,
        ident="thermograph",
    )
    # Every closed page would be a line: an event stream ends when its reader leaves.
    logging.getLogger("waitress").setLevel(logging.WARNING)
    # The port that is really there, for web_port 0 takes any free one.
    log.info("web: http://%s:%s", settings.web_host, listener.getsockname()[1])
    streams: live.Live = app.extensions["live"]
    while not stopping.is_set():
        wasyncore.loop(timeout=0.5, map=sockets, count=1, use_poll=True)
    closing = threading.Thread(target=streams.close, name="closing", daemon=True)
    closing.start()
    deadline = time.monotonic() + STOP_WITHIN
    # The loop must run on: it is what carries the streams' last bytes to their readers.
    while (streams.streams or closing.is_alive()) and time.monotonic() < deadline:
        wasyncore.loop(timeout=0.05, map=sockets, count=1, use_poll=True)
    wasyncore.loop(timeout=0.05, map=sockets, count=2, use_poll=True)
    server.task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(sockets, ignore_all=True)


def _listen(settings: Settings) -> socket.socket:
    """A listening socket of our own: waitress would have started all its threads before it finds the port taken."""
    host, port = settings.web_host, settings.web_port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise PortBusy(
            f"The web page can't listen on {host}:{port}: {error}.",
            "Free the port, or set THERMOGRAPH_WEB_HOST and THERMOGRAPH_WEB_PORT to another one.",
        ) from error


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; their former meaning comes back at the end."""
    stopping = threading.Event()
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in former:
        signal.signal(number, lambda *_: stopping.set())
    try:
        yield stopping
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
