"""What the firmware's lines mean: how far the board has come, and what keeps it. Pure.

The lines are those of firmware/README.md: `TIME WORD ...`; `link lost: STEP: why; again in N ms` names the step of
the link (wifi, dns, tcp, tls, mqtt) that failed.
"""

import dataclasses
import re

from .errors import (
    BoardError,
    DnsFailed,
    IngestFailed,
    MemoryFailed,
    NetworkFailed,
    SensorFailed,
    SignInFailed,
    StartFailed,
    TlsFailed,
    WifiFailed,
)

SAMPLE = re.compile(r"\S+ sample (?P<sensor>\S+) (?P<value>\S+) (?P<unit>\S+) seq (?P<seq>\d+)")
BOOT = re.compile(r"\S+ boot (?P<boot>\d+) stream (?P<stream>\S+) holds .*freed to (?P<freed>\d+)")
FREED = re.compile(r"\S+ freed to (?P<seq>\d+), kept \d+")
CONNECTED = re.compile(r"\S+ connected to (?P<address>\S+)")
LOST = re.compile(r"\S+ link lost: (?P<step>wifi|dns|tcp|tls|mqtt): (?P<why>.*); again in \d+ ms")
JOINED = re.compile(r"\S+ wifi (?P<ssid>.+) (?P<address>\d+\.\d+\.\d+\.\d+)")
REFUSED_SETTINGS = re.compile(r"settings: (?P<why>.*)")
CRASH = re.compile(r"crash \d+ in a row: (?P<why>.*)")
DRIVER = re.compile(r"\S+ sensor: (?P<why>.*)")
# Of an interpreter that found no main.py to its liking: `ImportError: no module named ...`.
TRACEBACK_END = re.compile(r"(?P<why>\w*Error: .*)")

# So many times in a row: once may be chance, and a link that is about to come up fails for a while.
PATIENCE = {"wifi": 4, "dns": 3, "tcp": 3, "tls": 3, "mqtt": 3}
# What passes by itself: the radio is still joining, the time servers have not answered yet.
PASSING = ("joining", "the clock is not set")
HOPELESS = "wrong password"
# Whatever else a failure looks like: the firmware says this when its memory ran out meanwhile.
LACK = re.compile(r"out of memory|MemoryError|memory allocation failed|ENOMEM", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Sample:
    """The board's words for its first reading. at: seconds of the clock that feed() was given."""

    sensor: str
    value: str
    unit: str
    seq: int
    at: float


class Story:
    """feed() it each line; the attributes say how far the board has come."""

    def __init__(self) -> None:
        self.stream: str | None = None
        self.joined: str | None = None
        self.connected: str | None = None
        self.first: Sample | None = None
        self.freed = 0
        self._failures: tuple[str, int] = ("", 0)
        self._why = ""
        self._driver = ""
        self._start = ""

    def feed(self, line: str, at: float) -> None:
        line = line.strip()
        if found := SAMPLE.fullmatch(line):
            if self.first is None:
                self.first = Sample(found["sensor"], found["value"], found["unit"], int(found["seq"]), at)
        elif found := FREED.fullmatch(line):
            self.freed = max(self.freed, int(found["seq"]))
        elif found := BOOT.fullmatch(line):
            self.stream = found["stream"]
        elif found := CONNECTED.fullmatch(line):
            self.connected, self._failures = found["address"], ("", 0)
        elif found := LOST.fullmatch(line):
            self.connected = None
            self._fail(found["step"], found["why"])
        elif found := JOINED.fullmatch(line):
            self.joined = f"{found['ssid']} {found['address']}"
        elif found := DRIVER.fullmatch(line):
            self._driver = found["why"]
        elif found := REFUSED_SETTINGS.fullmatch(line) or CRASH.fullmatch(line) or TRACEBACK_END.fullmatch(line):
            self._start = found["why"]

    @property
    def stored_as_told(self) -> bool:
        """The backend has acknowledged the first reading, and the board has freed it."""
        return self.first is not None and self.freed >= self.first.seq

    def failure(self) -> BoardError | None:
        """What has gone wrong for good."""
        if self._start:
            if LACK.search(self._start):
                return _memory_error(self._start)
            return StartFailed(
                "The firmware does not start.",
                "Settings: mend them. A crash: see the console, then report it.",
                self._start,
            )
        step, count = self._failures
        if step and (count >= PATIENCE[step] or (count >= 2 and HOPELESS in self._why)):
            return _link_error(step, self._why)
        return None

    def overdue(self) -> BoardError:
        """What it was waiting for when the time was up."""
        if self._start or (self._failures[0] and self.connected is None):
            step = self._failures[0]
            return self.failure() or _link_error(step, self._why)
        if self.stream is None:
            return StartFailed("The board says nothing that the firmware would say.", "Reset it and run this again.")
        if self.first is None:
            return SensorFailed(
                "The board has sampled nothing.",
                "Check the sensor's wires and its pull-up (firmware/README.md has the pins), or name it in --settings.",
                self._driver or "no `sample` on the console",
            )
        if self.connected is None:
            return NetworkFailed(
                "The board has not reached the broker.", "Look at its console: python -m tools monitor."
            )
        return ingest_error("the board sent it, and no ack came")

    def _fail(self, step: str, why: str) -> None:
        self._why = why
        if any(text in why for text in PASSING):
            self._failures = (step, 1)
            return
        before, count = self._failures
        self._failures = (step, count + 1 if before == step else 1)


def ingest_error(evidence: str) -> IngestFailed:
    return IngestFailed(
        "The backend has not stored the reading.",
        "Is ingest running, on the same broker? `python -m backend ingest` says what it rejects; `make run` runs it.",
        evidence,
    )


def _link_error(step: str, why: str) -> BoardError:
    if LACK.search(why):
        return _memory_error(f"{step}: {why}")
    kind, message, advice = _LINK[step]
    return kind(message, advice, f"{step}: {why}")


def _memory_error(evidence: str) -> MemoryFailed:
    return MemoryFailed(
        "The board runs out of memory.",
        "Password, firewall and certificate may well be right. Flash the compiled firmware (it is, unless files of "
        "yours are on the board, too), name fewer sensors, and give the broker a short chain (EC P-256 needs least). "
        "`memory:` on the console has the figures: python -m tools monitor.",
        evidence,
    )


_LINK: dict[str, tuple[type[BoardError], str, str]] = {
    "wifi": (
        WifiFailed,
        "The board does not join the Wi-Fi.",
        "Check name and password (--wifi NAME asks again). An ESP32 sees 2.4 GHz only: not 5 GHz.",
    ),
    "dns": (
        DnsFailed,
        "The board finds no address for the broker's name.",
        "Check the name in --broker, or give an IP address. Without a name server in the network: `dns` in --settings.",
    ),
    "tcp": (
        NetworkFailed,
        "The board gets no connection to the broker.",
        "Is it running, on that port? A firewall, or a guest Wi-Fi that keeps its guests apart, may block.",
    ),
    "tls": (
        TlsFailed,
        "The board does not accept the broker's certificate.",
        "--ca must hold who signed it, and the certificate must carry the name in --broker and be valid today.",
    ),
    "mqtt": (
        SignInFailed,
        "The broker does not let the board in.",
        "Does this broker take its users from this backend's registry? See tools/README.md, `flash`.",
    ),
}
