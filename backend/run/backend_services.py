"""The backend's own processes, each `python -m backend NAME`, configured by environment."""

import sys
from collections.abc import Callable, Mapping

from ..settings import Settings
from . import probes
from .child import Child, Service
from .layout import ROOT, Layout


def services(layout: Layout, settings: Settings, environment: Mapping[str, str]) -> list[Service]:
    """In the order to start them. environment: makes a process read these settings."""

    def service(name: str, about: str, ready: Callable[[Child], bool]) -> Service:
        return Service(
            name=name,
            about=about,
            command=[sys.executable, "-m", "backend", name],
            environment=environment,
            folder=ROOT,
            log=layout.log(name),
            ready=ready,
            ready_within=60,
        )

    def said_ready(child: Child) -> bool:
        return child.has_said("ready")

    return [
        service("ingest", "stores readings, acknowledges after the commit", said_ready),
        service("archive", f"a Parquet object every {settings.archive_age:g} s", said_ready),
        service("compact", "one object a day, and the chain of manifests", said_ready),
        service("alerts", "watches the rules that you add: python -m backend alert --help", said_ready),
        service("announce", "newest values and wanted settings to the broker, for Home Assistant too", said_ready),
        service(
            "web",
            f"page and API on {settings.web_host}:{settings.web_port}",
            lambda _: probes.http_answers(settings.web_port, "/healthz"),
        ),
    ]
