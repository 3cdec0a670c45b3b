"""Lives in which the backend's commands are killed with -9 at one failpoint after another, and judged after each.

The broker, SQL, S3 and the commands are real. One set of servers carries many lives; each life has a broker, a database
and a prefix of S3 of its own. Only waiting is cut short: the lease of a dead archiver is taken from it at once.
"""

import dataclasses
import os
import random
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import delete

from backend import chain
from backend.compaction import HOUR, due_through
from backend.database import Database
from backend.failpoints import POINTS
from backend.freezing import now as unix_ms
from backend.models import Lease
from backend.objects import ObjectStore
from backend.settings import Settings
from tests.end_to_end.fleet import Fleet, wait_until_freed
from tests.end_to_end.judge import Broken, account, archived, judge
from tests.end_to_end.world import BUCKET, KEY, SECRET, SeaweedFS
from tests.end_to_end.zygote import Command, Zygote
from tests.servers import Mosquitto, Postgres

DATABASES = ("sqlite", "postgresql")
PARTS = ("ingest", "archive")
# Compaction is not struck here: it joins what is in S3 already.
STRUCK = [point for point in POINTS if point.split(".")[0] in (*PARTS, "restore")]
# Points that a process may pass only once: at its start, or for the little that became old since the last one.
ONCE = {point for point in POINTS if point.startswith("restore.")} | {"archive.leased", "archive.proven"}
ONCE |= {"archive.dropping", "archive.deleted", "archive.dropped"}
ONCE |= {point for point in POINTS if point.startswith("compact.")}
COMPACT = ["backend", "compact", "--once", "--remove-after", "0"]
PATIENCE = 120.0  # seconds for what takes tens of ms: the machine may be busy
PACE = 0.25  # seconds between samples
NESTED = 0.25  # how many of the kills hit a process that is mending another one


@dataclasses.dataclass(frozen=True)
class Kill:
    """part: the command that is killed. point, number: at the Nth pass of this failpoint."""

    part: str
    point: str
    number: int

    def __str__(self) -> str:
        return f"{self.point}:{self.number}"


def plan(seed: int) -> list[list[Kill]]:
    """The life's kills: each of STRUCK once, in any order, restore's last; a list's kills follow each other."""
    chance = random.Random(seed)
    points = chance.sample(STRUCK, len(STRUCK))
    points.sort(key=lambda point: point.startswith("restore."))
    steps: list[list[Kill]] = []
    for point in points:
        kill = Kill(point.split(".")[0], point, 1 if point in ONCE else chance.choice((1, 1, 2, 3)))
        if steps and steps[-1][-1].part == kill.part and chance.random() < 2 * NESTED:
            steps[-1].append(kill)
        else:
            steps.append([kill])
    return steps


class Servers:
    """What all lives share: S3, PostgreSQL, and a zygote that has imported the backend."""

    def __init__(self, folder: Path, set_variable: Callable[[str, str], None] = os.environ.__setitem__) -> None:
        """set_variable: hands this process's own boto3 its credentials, which it takes from the environment only."""
        self.folder = folder
        self._set_variable = set_variable
        self._open = ExitStack()
        self._making = threading.Lock()
        self.environ = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def __enter__(self) -> "Servers":
        with ExitStack() as starting:
            self.s3 = SeaweedFS(self.folder / "s3")
            starting.callback(self.s3.kill)
            self.s3.start()
            self.postgres = starting.enter_context(Postgres.running())
            self.zygote = Zygote(self.folder / "logs", self.environ)
            starting.callback(self.zygote.close)
            for name, value in self.environ.items():
                self._set_variable(name, value)
            self.settings = Settings(
                enrolment="open",
                s3_endpoint=f"http://127.0.0.1:{self.s3.port}",
                s3_bucket=BUCKET,
                archive_rows=400,
                archive_age=1e-6,
                hot_days=1,  # what the fleet samples is old: it leaves SQL when it is in S3
            )
            self.store(self.settings).create_bucket()
            self._open = starting.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def store(self, settings: Settings) -> ObjectStore:
        # Several threads may not make boto3's first clients at once.
        with self._making:
            return ObjectStore(settings)

    def database_url(self, kind: str, folder: Path) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder}/thermograph.db"
        return self.postgres.new_database(f"life_{uuid.uuid4().hex}")


class Life:
    """One database, one broker, one prefix of S3; many deaths."""

    def __init__(self, servers: Servers, seed: int, kind: str, way_to_s3: str = "") -> None:
        """kind: of database, one of DATABASES. way_to_s3: an endpoint that leads there; empty: S3's own."""
        self._way_to_s3 = way_to_s3 or servers.settings.s3_endpoint
        self.seed = seed
        self.kind = kind
        self.kills: Counter[str] = Counter()
        self._servers = servers
        self.name = f"{kind}.{seed}"
        self._folder = servers.folder / self.name
        self.running: dict[str, Command] = {}

    def run(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Live through the plan. Raises Broken, naming the life and the kill after which the promise was broken."""
        at = "its start"
        try:
            with ExitStack() as open_:
                self.begin(open_)
                for step in plan(self.seed):
                    for kill in step:
                        at = f"kill {kill}"
                        tell(at)
                        if kill.part == "restore":
                            self._die_restoring(kill)
                        elif kill.part == "compact":
                            self._die_compacting(kill)
                        else:
                            self._die(kill)
                    if step[-1].part != "restore":
                        self.judge()
        except Exception as error:
            logs = "".join(self._tail(part) for part in (*PARTS, "restore", "verify"))
            raise Broken(f"life {self.name}, {at}: {type(error).__name__}: {error}{logs}") from error
        shutil.rmtree(self._folder)

    def begin(self, open_: ExitStack) -> None:
        """Start all that the life needs; what it leaves behind is given to open_."""
        self._folder.mkdir()
        self.broker = Mosquitto(self._folder / "broker")
        open_.callback(self.broker.kill)
        self.broker.start()
        self.settings = dataclasses.replace(
            self._servers.settings,
            database=self._servers.database_url(self.kind, self._folder),
            broker=f"mqtt://127.0.0.1:{self.broker.port}",
            s3_endpoint=self._way_to_s3,
            s3_prefix=self.name,
        )
        self.database = Database(self.settings.database)
        open_.callback(self.database.close)
        self._command("migrate", ["backend", "migrate"])
        # The judge goes to S3 on the straight way.
        straight = dataclasses.replace(self.settings, s3_endpoint=self._servers.settings.s3_endpoint)
        self._store = self._servers.store(straight)
        self._objects: dict = {}
        self.fleet = Fleet(self.broker.port, self.seed)
        open_.callback(self.fleet.close)
        open_.callback(self._kill_all)
        for part in PARTS:
            self.start(part)

    def start(self, part: str, failpoint: str = "") -> None:
        """Start one of PARTS."""
        settings = dataclasses.replace(self.settings, failpoint=failpoint)
        environ = self._servers.environ | settings.environment()
        self.running[part] = self._servers.zygote.start(["backend", part], environ, self._log(part))

    def _kill_all(self) -> None:
        for command in self.running.values():
            command.kill()

    def _die(self, kill: Kill) -> None:
        """Start the part with this failpoint, give it work until it dies there, and start it again without."""
        self.running[kill.part].kill()
        if kill.part == "archive":
            # There must be something to archive at its start, and the lease of the dead one would last 20 s.
            self.fleet.sample()
            wait_until_freed(self.fleet, PATIENCE)
            self.take_lease()
        self.start(kill.part, str(kill))
        deadline = time.monotonic() + PATIENCE
        while (code := self.running[kill.part].poll(PACE)) is None:
            if time.monotonic() > deadline:
                raise Broken(f"{kill} was not reached within {PATIENCE:.0f} s")
            self.fleet.sample()
        if code != -9:
            raise Broken(f"{kill.part} ended with {code} before it reached {kill}")
        self.kills[kill.point] += 1
        if kill.part == "archive":
            self.take_lease()
        self.start(kill.part)

    def take_lease(self) -> None:
        with self.database.write() as connection:
            connection.execute(delete(Lease).where(Lease.name == "archive"))

    def _die_compacting(self, kill: Kill) -> None:
        """A compaction is killed; two at once go on with it; then each day is one object, and the chain holds."""
        for _ in range(2):
            self.fleet.sample()
            self._wait_until_archived()
        environ = self._servers.environ | self.settings.environment()
        dying = self._servers.zygote.start(
            COMPACT, environ | {"THERMOGRAPH_FAILPOINT": str(kill)}, self._log("compact")
        )
        if dying.poll(PATIENCE) != -9:
            raise Broken(f"compact ended with {dying.poll()} before it reached {kill}: {self._tail('compact')}")
        self.kills[kill.point] += 1
        both = [self._servers.zygote.start(COMPACT, environ, self._log(f"compact-{n}")) for n in range(2)]
        for number, command in enumerate(both):
            if command.poll(PATIENCE) != 0:
                raise Broken(f"one of two compactions ended with {command.poll()}: {self._tail(f'compact-{number}')}")
        if max(self._objects_a_day().values()) > 1:
            # They met: each left to the other what it had begun.
            self._command("compact", COMPACT)
        if max(self._objects_a_day().values()) > 1:
            raise Broken(f"objects a day after the compaction: {self._objects_a_day()}")
        if broken := [each for each in chain.prove(self._store, "", chain.Proof()) if isinstance(each, chain.Broken)]:
            raise Broken(f"the chain: {broken[0]}")

    def _objects_a_day(self) -> dict[str, int]:
        """Of the days that are over for long enough."""
        days = chain.days(self._store, due_through(unix_ms(), 6 * HOUR))
        return {day: len(entries) for day, entries in days.items()}

    def _die_restoring(self, kill: Kill) -> None:
        """A restore into a new database is killed, and goes on when it is started again; the judge knows no other."""
        folder = self._folder / kill.point
        folder.mkdir()
        url = self._servers.database_url(self.kind, folder)
        settings = dataclasses.replace(self.settings, database=url)
        environ = self._servers.environ | settings.environment()
        words = ["tools", "restore", "--json"]
        restoring = self._servers.zygote.start(
            words, environ | {"THERMOGRAPH_FAILPOINT": str(kill)}, self._log("restore")
        )
        if restoring.poll(PATIENCE) != -9:
            raise Broken(f"restore ended with {restoring.poll()} before it reached {kill}")
        self.kills[kill.point] += 1
        if kill.point == "restore.finished":
            words = ["tools", "verify", "--json"]
        code = self._servers.zygote.start(words, environ, self._log("restore")).poll(PATIENCE)
        if code != 0:
            raise Broken(f"after the kill, {' '.join(words)} ended with {code}")
        database = Database(url)
        try:
            judge(self.fleet, database, archived(self._store, self._objects))
        finally:
            database.close()

    def _log(self, part: str) -> str:
        return f"{self.name}.{part}"

    def judge(self) -> None:
        """Wait until all that was sampled is archived, and compare. Raises Broken."""
        self._wait_until_archived()
        judge(self.fleet, self.database, archived(self._store, self._objects))
        self._command("verify", ["tools", "verify", "--json"])

    def _wait_until_archived(self) -> None:
        if not wait_until_freed(self.fleet, PATIENCE):
            raise Broken(f"not acknowledged: {self.fleet.waiting} messages; the ledger: {account(self.database)}")
        deadline = time.monotonic() + PATIENCE
        while (now := account(self.database)).archived < len(self.fleet.readings):
            if time.monotonic() > deadline:
                raise Broken(f"not archived: {now}")
            time.sleep(0.05)

    def _command(self, name: str, words: list[str]) -> None:
        environ = self._servers.environ | self.settings.environment()
        code = self._servers.zygote.start(words, environ, self._log(name)).poll(PATIENCE)
        if code != 0:
            raise Broken(f"{' '.join(words)} ended with {code}: {self._tail(name)}")

    def _tail(self, part: str) -> str:
        log = self._servers.folder / "logs" / self._log(part)
        return f"\n--- {part}\n{log.read_text(errors='replace')[-1500:]}" if log.exists() else ""
