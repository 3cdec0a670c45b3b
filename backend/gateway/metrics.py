"""What the gateway has done, and who gave it trouble: for Prometheus, and for the log.

A client that means harm could fill either: no client is logged more often than once a minute for the same trouble, and
no more than 1,000 clients are named.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import psutil

log = logging.getLogger(__name__)

NAMED = 1_000
QUIET = 60.0
OTHERS = "others"
# The kinds of trouble, and what each means.
KINDS = {
    "malformed": "a line that is no reading",
    "long": "a line over the limit; the connection was closed",
    "slow": "a line that did not end in time, or answers that were not read; the connection was closed",
    "silent": "no line within the idle time; the connection was closed",
    "flooding": "lines above the rate; the connection was read more slowly",
    "crowding": "more connections than one address may have, or than there may be; refused",
    "poll": "a sensor that is polled gave no reading",
}


class Sample(NamedTuple):
    """One line of Prometheus' text format, and what its name means."""

    name: str
    kind: str
    about: str
    value: float


class Metrics:
    def __init__(self) -> None:
        self.kept = 0
        self.unfinished = 0
        self.freed = 0
        self.messages = 0
        self.resent = 0
        self.connections = 0
        self.troubles: Counter[tuple[str, str]] = Counter()
        self._logged: dict[tuple[str, str], float] = {}

    def trouble(self, kind: str, client: str, detail: str = "") -> None:
        """kind: of KINDS. client: its address, or the URL that is polled."""
        named = client if self.knows(client) or len(self._logged) < NAMED else OTHERS
        key = kind, named
        self.troubles[key] += 1
        now = time.monotonic()
        if now - self._logged.get(key, -QUIET) >= QUIET:
            self._logged[key] = now
            count = self.troubles[key]
            log.warning("%s: %s%s (%d so far)", named, kind, f": {detail}" if detail else "", count)

    def knows(self, client: str) -> bool:
        return any((kind, client) in self._logged for kind in KINDS)

    def text(self, more: Iterable[Sample]) -> str:
        """Prometheus' text exposition format, version 0.0.4."""
        samples = [
            Sample("readings_kept_total", "counter", "readings that were kept and answered", self.kept),
            Sample("lines_unfinished_total", "counter", "lines cut off by their client's end", self.unfinished),
            Sample("messages_sent_total", "counter", "telemetry messages published", self.messages),
            Sample(
                "messages_resent_total",
                "counter",
                "times that no ack came, and it was sent again",
                self.resent,
            ),
            Sample("connections", "gauge", "clients connected now", self.connections),
            Sample("memory_bytes", "gauge", "resident memory of this process", resident()),
            *more,
        ]
        lines = []
        for sample in samples:
            name = f"thermograph_gateway_{sample.name}"
            lines += [f"# HELP {name} {sample.about}", f"# TYPE {name} {sample.kind}", f"{name} {sample.value:g}"]
        name = "thermograph_gateway_trouble_total"
        lines += [f"# HELP {name} trouble with a client, by kind and client", f"# TYPE {name} counter"]
        lines += [
            f'{name}{{kind="{kind}",client="{_plain(client)}"}} {n}' for (kind, client), n in self.troubles.items()
        ]
        return "\n".join(lines) + "\n"


def resident() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
