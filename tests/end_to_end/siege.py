"""A gateway with a crowd at its door, killed with -9 in the middle, and the broker too; then S3 is asked for it all."""

import asyncio
import contextlib
import dataclasses
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil

from backend.gateway.limits import raise_open_files
from tests.end_to_end.crowd import Crowd
from tests.end_to_end.judge import Broken
from tests.end_to_end.world import SECRET, Part, World
from tests.ports import free_port

ARRIVAL = 300.0


@dataclasses.dataclass
class Report:
    """What happened. Times in s, memory in bytes: resident, at its highest, and what the gateway says is its bound."""

    clients: int = 0
    most_connected: int = 0
    readings: int = 0
    archived: int = 0
    sent_again: int = 0
    attacks: dict[str, int] = dataclasses.field(default_factory=dict)
    troubles: dict[str, int] = dataclasses.field(default_factory=dict)
    memory_before: int = 0
    memory_most: int = 0
    memory_bound: int = 0
    seconds: float = 0.0


class Siege:
    def __init__(self, folder: Path, world: World, clients: int, readings: int, seconds: float, seed: int) -> None:
        """Raises Broken when this process may not open that many files."""
        if raise_open_files(2 * clients + 256) < clients + 256:
            raise Broken(f"{clients} clients need as many open files: ulimit -Hn {2 * clients + 256}")
        self._world = world
        self._tcp, self._http = free_port(), free_port()
        self._gateway = Part(folder / "gateway", "gateway", dataclasses.replace(
            world.settings,
            state_dir=folder / "state",
            broker_user="gateway",
            broker_password=SECRET,
            gateway_tcp=f"127.0.0.1:{self._tcp}",
            gateway_http=f"127.0.0.1:{self._http}",
            gateway_connections=2 * clients,
            gateway_idle=max(20.0, 3 * seconds / readings),
        ))  # fmt: skip
        self._crowd = Crowd(self._tcp, clients, readings, seconds, seed)
        self.report = Report(clients=clients)

    def run(self) -> Report:
        """Raises Broken, saying what was lost, doubled or made up."""
        started = time.monotonic()
        self._gateway.start()
        try:
            self.report.memory_before = self._memory()
            asyncio.run(self._run())
            self._look()
            self._wait_for_archive()
        finally:
            self._gateway.stop()
        self._judge()
        self.report.seconds = time.monotonic() - started
        return self.report

    async def _run(self) -> None:
        crowd = asyncio.create_task(self._crowd.run())
        steps = asyncio.create_task(self._strike())
        while not crowd.done():
            await asyncio.wait([crowd], timeout=0.25)
            if steps.done():
                steps.result()
            with contextlib.suppress(psutil.Error):
                self.report.memory_most = max(self.report.memory_most, self._memory())
        await crowd
        await steps
        if self._crowd.refused:
            raise Broken(f"a good reading was refused: {self._crowd.refused[0]}")

    async def _strike(self) -> None:
        """Kill the gateway when a third is answered, the broker when two thirds are."""
        total = len(self._crowd.expected)
        for part, server in ((1, self._gateway), (2, self._world.broker)):
            while len(self._crowd.answered) < part * total / 3 and not self._crowd.refused:
                await asyncio.sleep(0.05)
            if server is self._gateway:
                await asyncio.to_thread(self._look)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(server.start)

    def _wait_for_archive(self) -> None:
        wanted, deadline = len(self._crowd.expected), time.monotonic() + ARRIVAL
        while (found := sum(account.archived for account in self._world.ledgers())) < wanted:
            if time.monotonic() > deadline:
                raise Broken(f"{found} of {wanted} readings are in S3 after {ARRIVAL:.0f} s")
            time.sleep(0.5)

    def _judge(self) -> None:
        rows = self._world.archived()
        counts = Counter((row.device, row.value) for row in rows)
        self.report.readings, self.report.archived = len(self._crowd.expected), len(rows)
        self.report.most_connected, self.report.sent_again = self._crowd.most, self._crowd.again
        self.report.attacks = dict(self._crowd.attacks)
        for what, keys in (
            ("answered but not in S3", self._crowd.answered - counts.keys()),
            ("doubled in S3", {key for key, count in counts.items() if count > 1}),
            ("in S3, but never sent", counts.keys() - self._crowd.expected),
            ("never answered", self._crowd.expected - self._crowd.answered),
        ):
            if keys:
                raise Broken(f"{len(keys)} readings {what}: {sorted(keys)[:5]}")
        gaps = [account for account in self._world.ledgers() if account.gaps]
        if gaps:
            raise Broken(f"{len(gaps)} streams have gaps: {gaps[0]}")

    def _memory(self) -> int:
        return int(psutil.Process(self._gateway.process.pid).memory_info().rss)

    def _look(self) -> None:
        """Read the gateway's own numbers; those of its former life, too."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}/metrics", timeout=30) as page:
            lines = page.read().decode().splitlines()
        totals = Counter(self.report.troubles)
        for line in lines:
            name, _, number = line.rpartition(" ")
            if name == "thermograph_gateway_memory_limit_bytes":
                self.report.memory_bound = int(float(number))
            if name.startswith("thermograph_gateway_trouble_total{"):
                totals[name.split('"')[1]] += int(float(number))
        self.report.troubles = dict(totals)
