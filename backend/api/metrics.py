"""GET /metrics: what this process does and what the database holds, for Prometheus. No names: counts only."""

import ipaddress
import time
from collections.abc import Iterator
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from .. import ledger, queries
from ..accounts import access
from ..accounts.guard import WRONG_BEARERS
from ..accounts.sign_in import network
from ..database import Database
from ..errors import DatabaseUnavailable, NotAllowed, NotSignedIn, TooOften
from ..models import Device, Rejected
from .contract import contract
from .live import Live

SCOPE = "metrics:read"
TEXT = "text/plain"
DESCRIBED: dict[int | str, Any] = {
    200: {"description": "Prometheus' text format", "content": {TEXT: {"schema": {"type": "string"}}}}
}
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10)


class Metrics:
    """Counts of one app: a registry of its own, for a process may have several."""

    def __init__(self, database: Database, live: Live) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "endpoint", "status")
        self._requests = Counter("thermograph_requests", "Answers given.", labels, registry=self.registry)
        self._seconds = Histogram(
            "thermograph_request_seconds", "From a request to its answer's head.", ("endpoint",), buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.registry.register(State(database, live))

    def register(self, app: Flask) -> None:
        @app.before_request
        def begin() -> None:
            g.begun = time.perf_counter()

        @app.after_request
        def count(response: Response) -> Response:
            # An endpoint, never an address: there are as many of those as somebody likes to make up.
            endpoint = request.endpoint or "none"
            self._requests.labels(request.method, endpoint, response.status_code).inc()
            if "begun" in g:
                self._seconds.labels(endpoint).observe(time.perf_counter() - g.begun)
            return response


class State(Collector):
    """What the database holds, read when it is asked for."""

    def __init__(self, database: Database, live: Live) -> None:
        self._database = database
        self._live = live

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("thermograph_event_streams", "Open event streams.", value=self._live.streams)
        try:
            found = self._read()
        except DatabaseUnavailable:
            yield GaugeMetricFamily("thermograph_database_up", "Does the database answer?", value=0)
            return
        yield GaugeMetricFamily("thermograph_database_up", "Does the database answer?", value=1)
        for name, (about, value) in found.items():
            yield GaugeMetricFamily(f"thermograph_{name}", about, value=value)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: else registering would already read the database."""
        return iter(())

    def _read(self) -> dict[str, tuple[str, int]]:
        with self._database.read() as connection:
            streams = ledger.read(connection)
            devices = dict.fromkeys(("online", "offline"), 0)
            for status, count in connection.execute(select(Device.status, func.count()).group_by(Device.status)):
                devices["online" if status == "online" else "offline"] += count
            rejected = connection.scalar(select(func.count()).select_from(Rejected)) or 0
            commit = queries.commit_number(connection)
        counts = {
            "readings_sampled": ("Readings that devices spoke of.", "sampled"),
            "readings_stored": ("Readings that were committed.", "stored"),
            "readings_archived": ("Readings in uploaded objects.", "archived"),
            "readings_lost": ("Readings in named gaps.", "lost"),
            "readings_waiting_on_device": ("Readings that wait on their device.", "waiting_on_device"),
            "readings_waiting_for_archive": ("Readings that wait for the archive.", "waiting_for_archive"),
        }
        sums = {name: (about, sum(getattr(one, field) for one in streams)) for name, (about, field) in counts.items()}
        return {
            "commit": ("Number of the last commit.", commit),
            "devices_online": ("Devices that are online.", devices["online"]),
            "devices_offline": ("Devices that are not.", devices["offline"]),
            "messages_rejected": ("Messages that were refused, and kept.", rejected),
            **sums,
        }


def blueprint(metrics: Metrics) -> APIBlueprint:
    found = APIBlueprint("metrics", __name__)

    @found.get("/metrics")
    @access.open_to_all
    @contract(gives=(TEXT,))
    @found.doc(responses=DESCRIBED)
    def show_metrics() -> Response:
        """For Prometheus; open to this machine, else with a key of the scope metrics:read"""
        _admit()
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    return found


def _admit() -> None:
    guard = access.guard()
    authorization = request.headers.get("Authorization", "")
    if not authorization and _is_here(guard.address):
        return
    actor = guard.identify(authorization, "").actor if authorization else None
    if actor is None:
        if authorization and (wait := guard.limits.hit(f"bearer/{network(guard.address)}", *WRONG_BEARERS)):
            raise TooOften("Too many wrong keys from this address.", wait)
        raise NotSignedIn(
            "The metrics are open to this machine only, and to keys.", f"Send a key of the scope {SCOPE}."
        )
    if not actor.has(SCOPE):
        raise NotAllowed(f"This needs the scope {SCOPE}.")


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
