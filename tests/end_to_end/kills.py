"""Lives in which the backend's commands are killed with -9 at one failpoint after another, and judged after each.

The broker, SQL, S3 and the commands are real. One set of servers carries many lives; each life has a broker, a database
and a prefix of S3 of its own. Only waiting is cut short: the lease of a dead archiver is taken from it at once.
"""

import dataclasses
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import delete

from backend import chain
from backend.compaction import HOUR, due_through
from backend.database import Database
from backend.failpoints import POINTS
from backend.freezing import now as unix_ms
from backend.models import Lease
from tests.end_to_end.fleet import Fleet, wait_until_freed
from tests.end_to_end.judge import Broken, OnceRead, account, archived, count_archived, judge, verified
from tests.end_to_end.stage import DATABASES, Servers
from tests.end_to_end.zygote import Command

__all__ = ["DATABASES", "PATIENCE", "Kill", "Life", "Servers", "plan"]

PARTS = ("ingest", "archive")  # run all the time
ONE_BY_ONE = ("compact", "restore")  # run once, when all is archived
COMPACT = ["backend", "compact", "--once", "--remove-after", "0"]
PATIENCE = 120.0  # seconds for what takes tens of ms: the machine may be busy
# Seconds between samples, and between looks whether they are archived: each pause is longer than the one before, for
# on a busy machine looking would be most of the work.
SHORTEST, LONGEST, GROWTH = 0.1, 1.6, 1.5
NESTED = 0.25  # how many of the kills hit a process that is mending another one


@dataclasses.dataclass(frozen=True)
class Kill:
    """part: the command that is killed. point, number: at the Nth pass of this failpoint."""

    part: str
    point: str
    number: int

    def __str__(self) -> str:
        return f"{self.point}:{self.number}"


def points_of(part: str) -> list[str]:
    return [point for point in POINTS if point.startswith(f"{part}.")]


def plan(seed: int) -> list[list[Kill]]:
    """The life's kills; a list's follow each other, and then the life is judged.

    Of ingest's and archive's points, in any order, half: the life of the next seed has the other half. Then one of
    restore's or compact's, each of which costs as much as many others. So lives of 20 seeds in a row strike all points;
    a longer life would be judged by more and more objects.
    """
    pair, half = divmod(seed, 2)
    points = [point for part in PARTS for point in points_of(part)]
    random.Random(pair).shuffle(points)
    chance = random.Random(seed)
    steps: list[list[Kill]] = []
    for point in points[half::2]:
        kill = Kill(point.split(".")[0], point, chance.choice((1, 1, 2, 3)))
        if steps and steps[-1][-1].part == kill.part and chance.random() < 2 * NESTED:
            steps[-1].append(kill)
        else:
            steps.append([kill])
    last = ONE_BY_ONE[half]
    steps.append([Kill(last, points_of(last)[pair % len(points_of(last))], 1)])
    return steps


def pauses() -> Iterator[float]:
    """Until PATIENCE is over."""
    deadline, pause = time.monotonic() + PATIENCE, SHORTEST
    while time.monotonic() < deadline:
        yield pause
        pause = min(pause * GROWTH, LONGEST)


class Life:
    """One database, one broker, one prefix of S3; many deaths."""

    def __init__(self, servers: Servers, seed: int, kind: str, way_to_s3: str = "", disk: Path | None = None) -> None:
        """kind: of database, one of DATABASES. way_to_s3: an endpoint that leads there; empty: S3's own.

        disk: where a database that is a file shall be; None: with the life's other files.
        """
        self._disk = disk
        self._way_to_s3 = way_to_s3 or servers.settings.s3_endpoint
        self.seed = seed
        self.kind = kind
        self.kills: Counter[str] = Counter()
        self.proven: Counter[str] = Counter()  # kills after which all was equal
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
                    for kill, following in zip(step, [*step[1:], None], strict=True):
                        at = f"kill {kill}"
                        tell(at)
                        self._strike(kill, kill is not step[0], str(following or ""))
                        self.kills[kill.point] += 1
                    if step[0].part in PARTS:
                        self.judge()
                    self.proven.update(kill.point for kill in step)
                at = "its end"
                self._command("verify", ["tools", "verify", "--json"])
        except Exception as error:
            logs = "".join(self._tail(part) for part in (*PARTS, *ONE_BY_ONE, "verify"))
            raise Broken(f"life {self.name}, {at}: {type(error).__name__}: {error}{logs}") from error
        shutil.rmtree(self._folder)

    def begin(self, open_: ExitStack) -> None:
        """Start all that the life needs; what it leaves behind is given to open_."""
        self._folder.mkdir()
        self.broker = self._servers.start_broker(self._folder / "broker")
        open_.callback(self.broker.kill)
        self.settings = dataclasses.replace(
            self._servers.settings,
            database=self._servers.new_database(self.kind, self._disk or self._folder),
            broker=f"mqtt://127.0.0.1:{self.broker.port}",
            s3_endpoint=self._way_to_s3,
            s3_prefix=self.name,
        )
        self.database = Database(self.settings.database)
        open_.callback(self._servers.drop_database, self.settings.database)
        open_.callback(self.database.close)
        # The judge goes to S3 on the straight way.
        self._store = OnceRead(dataclasses.replace(self.settings, s3_endpoint=self._servers.settings.s3_endpoint))
        self.fleet = Fleet(self.broker.port, self.seed)
        open_.callback(self.fleet.close)
        open_.callback(self._kill_all)
        for part in PARTS:
            self.start(part)

    def start(self, part: str, failpoint: str = "") -> None:
        """Start one of PARTS."""
        self.running[part] = self._fork(["backend", part], part, failpoint=failpoint)

    def take_lease(self) -> None:
        with self.database.write() as connection:
            connection.execute(delete(Lease).where(Lease.name == "archive"))

    def judge(self) -> None:
        """Wait until all that was sampled is archived, and compare. Raises Broken."""
        self._wait_until_archived()
        self._store.look()
        judge(self.fleet, self.database, self._store.rows())
        verified(self.database, self._store)

    def _strike(self, kill: Kill, armed: bool, following: str) -> None:
        """armed: its process is waiting for this kill. following: what the one after it shall wait for."""
        if kill.part == "restore":
            self._die_restoring(kill)
        elif kill.part == "compact":
            self._die_compacting(kill)
        else:
            if not armed:
                self.running[kill.part].arm(str(kill))
            self._die(kill, following)

    def _die(self, kill: Kill, following: str) -> None:
        """Give the part work until it dies at the failpoint it is armed with, and start it again."""
        self.fleet.sample()
        for pause in pauses():
            if (code := self.running[kill.part].poll(pause)) is not None:
                break
            self.fleet.sample()
        else:
            raise Broken(f"{kill} was not reached within {PATIENCE:.0f} s")
        if code != -9:
            raise Broken(f"{kill.part} ended with {code} before it reached {kill}")
        if kill.part == "archive":
            # It would last 20 s.
            self.take_lease()
        self.start(kill.part, following)

    def _die_compacting(self, kill: Kill) -> None:
        """A compaction is killed; two at once go on with it; then each day is one object, and the chain holds."""
        for _ in range(2):
            self.fleet.sample()
            self._wait_until_archived()
        dying = self._fork(COMPACT, "compact", failpoint=str(kill))
        if dying.poll(PATIENCE) != -9:
            raise Broken(f"compact ended with {dying.poll()} before it reached {kill}: {self._tail('compact')}")
        both = [self._fork(COMPACT, f"compact-{number}") for number in range(2)]
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
        self.judge()

    def _objects_a_day(self) -> dict[str, int]:
        """Of the days that are over for long enough."""
        self._store.look()
        days = chain.days(self._store, due_through(unix_ms(), 6 * HOUR))
        return {day: len(entries) for day, entries in days.items()}

    def _die_restoring(self, kill: Kill) -> None:
        """A restore into a new database is killed, and goes on when it is started again; the judge knows no other."""
        folder = self._folder / kill.point
        folder.mkdir()
        url = self._servers.new_database(self.kind, folder)
        words = ["tools", "restore", "--json"]
        restoring = self._fork(words, "restore", database=url, failpoint=str(kill))
        if restoring.poll(PATIENCE) != -9:
            raise Broken(f"restore ended with {restoring.poll()} before it reached {kill}")
        if kill.point == "restore.finished":
            words = ["tools", "verify", "--json"]
        code = self._fork(words, "restore", database=url).poll(PATIENCE)
        if code != 0:
            raise Broken(f"after the kill, {' '.join(words)} ended with {code}")
        database = Database(url)
        try:
            judge(self.fleet, database, archived(self._store))
        finally:
            database.close()
            self._servers.drop_database(url)

    def _wait_until_archived(self) -> None:
        if not wait_until_freed(self.fleet, PATIENCE):
            raise Broken(f"not acknowledged: {self.fleet.waiting} messages; the ledger: {account(self.database)}")
        for pause in pauses():
            if count_archived(self.database) >= len(self.fleet.readings):
                return
            time.sleep(pause)
        raise Broken(f"not archived: {account(self.database)}")

    def _fork(self, words: list[str], name: str, **settings: str) -> Command:
        environ = self._servers.environ | dataclasses.replace(self.settings, **settings).environment()
        return self._servers.zygote.start(words, environ, f"{self.name}.{name}")

    def _command(self, name: str, words: list[str]) -> None:
        code = self._fork(words, name).poll(PATIENCE)
        if code != 0:
            raise Broken(f"{' '.join(words)} ended with {code}: {self._tail(name)}")

    def _kill_all(self) -> None:
        for command in self.running.values():
            command.kill()

    def log(self, name: str) -> str:
        """All that a command has said; empty: it was not started."""
        log = self._servers.folder / "logs" / f"{self.name}.{name}"
        return log.read_text(errors="replace") if log.exists() else ""

    def _tail(self, name: str) -> str:
        log = self.log(name)
        return f"\n--- {name}\n{log[-600:]}" if log else ""
