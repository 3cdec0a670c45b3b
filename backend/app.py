"""The web process: the composition root of API and pages, and the server that carries them."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore

from . import api, web
from .api import health, live, problems
from .database import Database
from .errors import PortBusy
from .settings import Settings
from .web import compression, security

log = logging.getLogger(__name__)

# A thread for every event stream that may be open, and some for everything else.
THREADS = live.MOST_STREAMS + 16
CONNECTIONS = 1_000
STOP_WITHIN = 3.0


def create_app(settings: Settings, database: Database) -> Flask:
    """The WSGI application on an open database. app.extensions["live"].close() ends its event streams."""
    app = Flask(__name__, static_folder="web/static", template_folder="web/templates")
    app.config.update(
        MAX_CONTENT_LENGTH=1_000_000,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    watcher = live.Live(database)
    app.extensions["live"] = watcher
    # Flask runs after_request from the last to the first: security sees what all others made.
    security.register(app)
    compression.register(app)
    problems.register(app)
    app.register_blueprint(health.blueprint(database))
    app.register_blueprint(api.blueprint(database, watcher))
    app.register_blueprint(web.blueprint(database))
    return app


def serve(settings: Settings) -> None:
    """Serve pages and API until SIGTERM or SIGINT; open event streams are ended first.

    Raises SettingsError when the tables are not this release's, PortBusy, DatabaseUnavailable.
    """
    database = Database(settings.database, settings.database_password)
    try:
        database.check_revision()
        app = create_app(settings, database)
        with _stop_signals() as stopping:
            _serve(app, settings, stopping)
    finally:
        database.close()


def _serve(app: Flask, settings: Settings, stopping: threading.Event) -> None:
    sockets: dict[int, Any] = {}
    server = _listen(app, settings, sockets)
    # The port that is really there, for web_port may be 0: any free one.
    log.info("web: http://%s:%d", settings.web_host, _port(sockets) or settings.web_port)
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


def _listen(app: Flask, settings: Settings, sockets: dict[int, Any]) -> Any:
    host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
    try:
        return create_server(
            app,
            map=sockets,
            listen=f"{host}:{settings.web_port}",
            threads=THREADS,
            connection_limit=CONNECTIONS,
            clear_untrusted_proxy_headers=True,
            max_request_body_size=1_000_000,
            ident="thermograph",
        )
    except OSError as error:
        raise PortBusy(
            f"The web page can't listen on {settings.web_host}:{settings.web_port}: {error.strerror}.",
            "Free the port, or set THERMOGRAPH_WEB_PORT to another one.",
        ) from error


def _port(sockets: dict[int, Any]) -> int | None:
    return next((found.effective_port for found in sockets.values() if hasattr(found, "effective_port")), None)


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
