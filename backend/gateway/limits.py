"""What one client may take: how many connections there are, how fast each may speak, how many files may be open."""

import dataclasses
import logging
import time
from collections import Counter

from ..errors import SettingsError
from ..settings import Settings

log = logging.getLogger(__name__)

LINE = 1024  # bytes, without its end
READ = 4096  # bytes that one read of a connection takes
AT_ONCE = 16  # lines of one connection that wait to be kept
MALFORMED = 20  # lines in a row that are no readings: then a connection is closed
HEAD, BODY, BODY_LINES = 8 * 1024, 16 * 1024, 64  # of an HTTP request
ANSWERING = 64  # HTTP requests that are answered at a time
LINE_TIME = 30.0  # s from a line's first byte to its end
OWN_FILES = 64  # what the gateway itself keeps open


@dataclasses.dataclass(frozen=True)
class Limits:
    """connections: in all; rate: lines/s of one connection; idle: s without a line; line_time: s for one."""

    connections: int
    sensors: int
    per_address: int
    rate: float
    idle: float
    line_time: float

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Raises SettingsError when the system lets this process open fewer files."""
        wanted = settings.gateway_connections
        allowed = raise_open_files(wanted + OWN_FILES)
        if allowed < wanted + OWN_FILES:
            raise SettingsError(
                f"{wanted} connections need {wanted + OWN_FILES} open files, and this process may have {allowed}.",
                "Raise the limit (`ulimit -Hn 65536`, or systemd's LimitNOFILE=65536), "
                f"or set THERMOGRAPH_GATEWAY_CONNECTIONS to {max(1, allowed - OWN_FILES)}.",
            )
        idle = settings.gateway_idle
        sensors = settings.gateway_sensors
        return cls(wanted, sensors, settings.gateway_per_address, settings.gateway_rate, idle, min(LINE_TIME, idle))

    @property
    def memory(self) -> int:
        """Bytes that clients can make this process hold at most, by the sizes of Python's and asyncio's objects.

        A connection: its sockets' objects (8 KiB), and either a read, a line, and 16 readings with their answers (1 KiB
        each), or an HTTP request; a request that is answered: 64 readings (4 KiB each); a sensor: 2 KiB.
        """
        of_tcp = READ + LINE + AT_ONCE * 1024
        of_http = HEAD + BODY + 3 * READ
        connections = self.connections * (8 * 1024 + max(of_tcp, of_http))
        return connections + ANSWERING * BODY_LINES * 4 * 1024 + self.sensors * 2 * 1024


def raise_open_files(wanted: int) -> int:
    """Let this process open so many files if the system allows it; how many it may open now."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return target


class Doors:
    """Who is connected, over all listeners."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        return self._open.total()

    def enter(self, address: str) -> str | None:
        """Why this address may not connect now; None, and it counts, if it may."""
        if self.connections >= self._limits.connections:
            return f"all {self._limits.connections} connections are in use"
        if self._open[address] >= self._limits.per_address:
            return f"{self._limits.per_address} connections are open from {address}"
        self._open[address] += 1
        return None

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


class Bucket:
    """A rate with a burst of ten seconds' worth."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = self._burst = max(1.0, 10 * rate)
        self._at = time.monotonic()

    def take(self, count: int) -> float:
        """Seconds to wait before any more may be taken."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - count
        self._at = now
        return 0.0 if self._left >= 0 else -self._left / self._rate
