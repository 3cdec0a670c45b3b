"""python -m tools bench streams: many open pages and API requests at once, while readings are committed."""

import asyncio
import contextlib
import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psutil

from .outcome import Goal, Outcome

if TYPE_CHECKING:
    from backend.database import Database

LISTENING = re.compile(r"web: http://\S+:(\d+)")
ROOT = Path(__file__).parents[2]
DEVICES = 20
COMMITS_A_SECOND = 2
READY_WITHIN = 60.0
SETTLED_WITHIN = 60.0
LONGEST_LINE = 2**24
REQUESTED = ("/api/v1/devices/fridge-00", "/api/v1/ledger?device=fridge-01", "/api/v1/channels/1/series")


@dataclass
class Heard:
    """What the event streams and the requests have come to so far. seen: a stream's newest commit."""

    seen: list[int]
    delays: list[float] = field(default_factory=list)
    ended: int = 0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0


@click.command()
@click.option("--streams", default=500, show_default=True, help="Event streams that stay open.")
@click.option("--rate", default=50, show_default=True, help="Requests a second to the API.")
@click.option("--seconds", default=60, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
def streams(streams: int, rate: int, seconds: int, as_json: bool) -> None:
    """Hold event streams open at a web process, ask its API beside them, and commit readings all the while.

    Ends with exit code 1 if a stream was cut off, a request was refused, or a stream did not hear the last commit.
    """
    outcome = Outcome(f"{streams} event streams, {rate} requests/s for {seconds} s, {COMMITS_A_SECOND} commits/s")
    with tempfile.TemporaryDirectory(prefix="thermograph-bench-") as folder, _web(Path(folder)) as (server, rows, key):
        heard = asyncio.run(_play(server, rows, key, streams, rate, seconds))
        memory = psutil.Process(server.pid).memory_info().rss
    _judge(outcome, heard, memory, rows.last)
    print(outcome.as_json()) if as_json else outcome.show(unit=0.001, unit_name="ms")
    raise SystemExit(0 if all(goal.passed for goal in outcome.goals) else 1)


def _judge(outcome: Outcome, heard: Heard, memory: int, last: int) -> None:
    for name, found in (("request", heard.latencies), ("commit to event", heard.delays)):
        hundredths = statistics.quantiles(found, n=100)
        outcome.facts |= {f"{name}, p50 ms": hundredths[49] * 1000, f"{name}, p99 ms": hundredths[98] * 1000}
        outcome.facts[f"{name}: how many"] = len(found)
    outcome.facts["memory of the web process, MB"] = memory / 1e6
    outcome.goals += [
        Goal("streams that were cut off", heard.ended, 0, at_most=True),
        Goal("requests that were refused", heard.refused, 0, at_most=True),
        Goal("streams that missed the last commit", sum(seen < last for seen in heard.seen), 0, at_most=True),
    ]


class Commits:
    """Commits a reading of one device after another. at: number of a commit → when it was made; last: the newest."""

    def __init__(self, database: "Database") -> None:
        self._rows: Any = importlib.import_module("tests.rows").Rows(database)
        self._channels: list[int] = []
        for number in range(DEVICES):
            self._rows.device(f"fridge-{number:02}", stream=f"{number:08x}")
            self._channels.append(self._rows.channel(f"fridge-{number:02}"))
        self.at: dict[int, float] = {}
        self.last = 0

    def make(self, stop: threading.Event) -> None:
        """Until stop is set."""
        turn = 0
        while not stop.wait(1 / COMMITS_A_SECOND):
            channel = self._channels[turn % DEVICES]
            number = self._rows.readings(channel, [(time.time_ns() // 1_000_000, 4.0 + turn % 16 / 16)])
            self.at[number], self.last = time.monotonic(), number
            turn += 1


@dataclass(frozen=True)
class Server:
    pid: int
    port: int


@contextlib.contextmanager
def _web(folder: Path) -> Iterator[tuple[Server, Commits, str]]:
    """A web process on a database of its own, what commits into it, and an API key."""
    from backend.database import Database
    from backend.settings import Settings

    url = f"sqlite:///{folder}/bench.db"
    database = Database(url)
    database.migrate()
    rows = Commits(database)
    key = importlib.import_module("tests.signed_in").key(database, "viewer")
    settings = Settings(state_dir=folder, database=url, web_port=0, api_rate=0)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", "web"],
            env=os.environ | settings.environment(),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        yield Server(process.pid, _port(process, folder / "log")), rows, key
    finally:
        process.terminate()
        process.wait(30)
        database.close()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """Where it listens, once it says so."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if told := LISTENING.search(log.read_text()):
            return int(told[1])
        time.sleep(0.05)
    raise click.ClickException(f"the web process did not start:\n{log.read_text()[-2000:]}")


async def _play(server: Server, rows: Commits, key: str, streams: int, rate: int, seconds: int) -> Heard:
    heard = Heard([0] * streams)
    listening = [asyncio.create_task(_listen(server, key, rows, heard, number)) for number in range(streams)]
    stop = threading.Event()
    committing = threading.Thread(target=rows.make, args=(stop,))
    committing.start()
    try:
        await _until(lambda: all(heard.seen), "every stream has heard something", READY_WITHIN)
        heard.delays.clear()
        asking = []
        begun = time.monotonic()
        for number in range(rate * seconds):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            asking.append(asyncio.create_task(_ask(server, key, heard, REQUESTED[number % len(REQUESTED)])))
        await asyncio.gather(*asking)
    finally:
        stop.set()
        committing.join()
    with contextlib.suppress(TimeoutError):
        await _until(lambda: all(seen >= rows.last for seen in heard.seen), "", SETTLED_WITHIN)
    heard.ended = sum(task.done() for task in listening)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    return heard


async def _listen(server: Server, key: str, rows: Commits, heard: Heard, number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=LONGEST_LINE)
    with contextlib.suppress(OSError), contextlib.closing(writer):
        writer.write(_request("/api/v1/events", key))
        while line := await reader.readline():
            if not line.startswith(b"data: "):
                continue
            told = json.loads(line[6:])
            if "commit" in told:
                heard.seen[number] = told["commit"]
                # A reading comes at once, the number of its commit when all devices have been looked at.
                newest = [channel["newest"]["commit"] for device in told["devices"] for channel in device["channels"]]
                heard.delays += [time.monotonic() - rows.at[each] for each in newest if each in rows.at]


async def _ask(server: Server, key: str, heard: Heard, path: str) -> None:
    begun = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(_request(path, key, "Connection: close\r\n"))
        answer = await reader.read(-1)
        writer.close()
    except OSError:
        answer = b""
    heard.latencies.append(time.monotonic() - begun)
    heard.refused += not answer.startswith(b"HTTP/1.1 200 ")


def _request(path: str, key: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{more}\r\n".encode()


async def _until(condition: Any, what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.05)
