"""Two ingest workers by shared subscription and two archivers, on PostgreSQL, while one of them dies again and again.

What the fleet sampled is in S3 once at the end. Broker, database, S3 server and commands are real; kill is kill -9.
"""

import dataclasses
import time
from contextlib import ExitStack

from sqlalchemy import select

from backend.database import Database
from backend.models import Lease
from backend.objects import ObjectStore
from tests.end_to_end.fleet import Fleet, wait_until_freed
from tests.end_to_end.judge import Broken, account, archived, judge
from tests.end_to_end.kills import PATIENCE, Servers
from tests.end_to_end.zygote import Command
from tests.servers import Mosquitto, wait_for

WORKERS = ("worker-1", "worker-2")
ARCHIVERS = ("archiver-1", "archiver-2")
DEVICES = 12
PACE = 0.1  # seconds between samples


@dataclasses.dataclass
class Report:
    """What happened. takeover: seconds from the archiver's kill until the other one held the lease."""

    readings: int = 0
    kills: int = 0
    takeover: float = 0.0
    seconds: float = 0.0


class Crew:
    def __init__(self, servers: Servers, seed: int, seconds: float, pause: float) -> None:
        """seconds: for which devices sample; pause: between two kills of an ingest worker."""
        self._servers = servers
        self._seed = seed
        self._seconds = seconds
        self._pause = pause
        self._running: dict[str, Command] = {}
        self.report = Report()

    def run(self) -> Report:
        """Raises Broken, saying what was lost, doubled or changed, or who did not take over."""
        started = time.monotonic()
        with ExitStack() as open_:
            self._begin(open_)
            holder = self._wait_for_archiver(ARCHIVERS)
            self._sample_and_kill(holder)
            self._end()
        self.report.seconds = time.monotonic() - started
        return self.report

    def _begin(self, open_: ExitStack) -> None:
        name = f"crew-{self._seed}"
        self._broker = Mosquitto(self._servers.folder / name)
        open_.callback(self._broker.kill)
        self._broker.start()
        self._settings = dataclasses.replace(
            self._servers.settings,
            database=self._servers.postgres.new_database(name),
            broker=f"mqtt://127.0.0.1:{self._broker.port}",
            ingest_share="ingest",
            s3_prefix=name,
            archive_rows=500,
            hot_days=0,
        )
        self._database = Database(self._settings.database)
        open_.callback(self._database.close)
        self._database.migrate()
        self._store = ObjectStore(self._settings)
        self._fleet = Fleet(self._broker.port, self._seed, DEVICES)
        open_.callback(self._fleet.close)
        open_.callback(lambda: [command.kill() for command in self._running.values()])
        for name in (*WORKERS, *ARCHIVERS):
            self._start(name)

    def _start(self, name: str) -> None:
        settings = dataclasses.replace(self._settings, ingest_id=name)
        part = "ingest" if name in WORKERS else "archive"
        environ = self._servers.environ | settings.environment()
        self._running[name] = self._servers.zygote.start(["backend", part], environ, f"crew.{name}")

    def _sample_and_kill(self, archiver: str) -> None:
        """Sample all the time; kill the workers in turn, and at the beginning the archiver that holds the lease."""
        begun = time.monotonic()
        next_kill, victim = begun + self._pause, 0
        killed_at = 0.0
        while time.monotonic() - begun < self._seconds or not self.report.takeover:
            self._fleet.sample()
            time.sleep(PACE)
            now = time.monotonic()
            if now >= next_kill:
                name = WORKERS[victim % len(WORKERS)]
                self._running[name].kill()
                self._start(name)
                self.report.kills += 1
                next_kill, victim = now + self._pause, victim + 1
            if not killed_at:
                self._running[archiver].kill()
                killed_at = now
            elif not self.report.takeover and self._archiver() not in ("", archiver):
                self.report.takeover = now - killed_at
            if now - begun > self._seconds + PATIENCE:
                raise Broken(f"{archiver} was killed, and nobody took over")

    def _wait_for_archiver(self, names: tuple[str, ...]) -> str:
        wait_for(lambda: self._archiver() in names, "archiver with the lease", PATIENCE)
        return self._archiver()

    def _archiver(self) -> str:
        """Which of ARCHIVERS has the lease; empty: none of those that run."""
        with self._database.read() as connection:
            holder = connection.scalar(select(Lease.holder).where(Lease.name == "archive")) or ""
        names = [name for name in ARCHIVERS if f"-{self._running[name].pid}-" in holder]
        return names[0] if names else ""

    def _end(self) -> None:
        if not wait_until_freed(self._fleet, PATIENCE):
            raise Broken(f"not acknowledged: {self._fleet.waiting}; the ledger: {account(self._database)}")
        self.report.readings = len(self._fleet.readings)
        wait_for(
            lambda: account(self._database).archived >= self.report.readings, "archive of the last readings", PATIENCE
        )
        judge(self._fleet, self._database, archived(self._store))
        environ = self._servers.environ | self._settings.environment()
        verify = self._servers.zygote.start(["tools", "verify", "--json"], environ, "crew.verify")
        if verify.poll(PATIENCE) != 0:
            raise Broken(f"tools verify does not agree: {verify.log.read_text()[-1500:]}")
