"""A soak's parts: ingest and archiver that are started again whenever they are killed, and what is seen of them."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import psutil

from .load import Load
from .places import s3_server
from .rig import PATIENCE, ROOT, Rig, ingest_command, stored
from .steady import Steady

if TYPE_CHECKING:
    from backend.database import Database
    from backend.objects import ObjectStore

DEVICES = 100
MEASURED = 100_000  # readings by which the highest rate is found
ARCHIVE_AGE = 10.0  # seconds
ENDING = 600.0  # seconds in which all that waits has to be stored and archived
LOAD_LIMIT = 1 << 40


@dataclass(frozen=True)
class Look:
    """One look: seconds since the start; sent, stored, archived: readings so far; ingest, archiver: bytes of memory, 0
    while it is not there; lag: seconds since the oldest reading that is not committed was published."""

    at: float
    sent: int
    stored: int
    archived: int
    ingest: int
    archiver: int
    lag: float

    @property
    def waiting(self) -> int:
        """Readings in the broker, or on their way through ingest."""
        return max(0, self.sent - self.stored)


@dataclass
class Soak:
    """What was seen. rate: readings/s published; kills: seconds since the start at which ingest was killed."""

    rate: float
    highest: float | None = None
    looks: list[Look] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    sent: int = 0
    stored: int = 0
    archived: int = 0
    disk: int = 0
    findings: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Supervised:
    """A command that is started again when it has ended, however it ended."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self._start()

    def look_after(self) -> None:
        if self._process.poll() is not None:
            self._start()

    def kill(self) -> None:
        """As a power cut would: kill -9. The next is started at once."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._start()

    def memory(self) -> int:
        """Resident bytes."""
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, cwd=ROOT, stdout=log, stderr=log)


class Stage:
    """Broker, SQLite, S3, ingest and archiver. hot_days 1: readings of the load are older and leave SQL once S3 was
    shown to hold them, so the disk holds little more than the archive."""

    def __init__(self, rig: Rig, environment: dict[str, str], url: str) -> None:
        self.rig = rig
        self.url = url
        self.ingest = Supervised(ingest_command(), environment, rig.folder / "ingest.log")
        self.archiver = Supervised(
            [sys.executable, "-m", "backend", "archive"], environment, rig.folder / "archive.log"
        )

    def stop(self) -> None:
        self.ingest.stop()
        self.archiver.stop()

    def logs(self) -> str:
        return "\n".join((self.rig.folder / f"{name}.log").read_text()[-1500:] for name in ("ingest", "archive"))


@contextlib.contextmanager
def stage() -> Iterator[tuple[Rig, Callable[[], contextlib.AbstractContextManager[Stage]], "ObjectStore"]]:
    """The servers; what starts ingest and archiver at them; and the archive."""
    from backend.objects import ObjectStore

    with tempfile.TemporaryDirectory(prefix="thermograph-soak-") as name, contextlib.ExitStack() as stack:
        rig = Rig(Path(name))
        stack.callback(rig.close)
        settings = stack.enter_context(s3_server(Path(name)))
        store = ObjectStore(settings)
        store.create_bucket()

        @contextlib.contextmanager
        def play() -> Iterator[Stage]:
            url = rig.new_database("sqlite")
            environment = rig.environment(
                url,
                s3_endpoint=settings.s3_endpoint,
                s3_bucket=settings.s3_bucket,
                archive_age=str(ARCHIVE_AGE),
                hot_days="1",
            )
            rig.forget()
            made = Stage(rig, environment, url)
            try:
                yield made
            finally:
                made.stop()

        yield rig, play, store


def highest_rate(rig: Rig) -> float:
    """Readings/s that ingest stores while they are published as fast as the broker takes them."""
    load = Load(MEASURED, DEVICES)
    url = rig.new_database("sqlite")
    with stored(url, load.total) as done:
        return rig.live(ingest_command(), rig.environment(url), load, done).rate


def play(
    stage: Stage, soak: Soak, seconds: float, kill_every: float, look_every: float, tell: Callable[[Look], None]
) -> None:
    """Publish for so long, look, kill, and then wait until all that was sent is in the archive."""
    from backend.database import Database

    database = Database(stage.url)
    _wait_for_session(stage)
    publisher = Steady(stage.rig.broker.port, Load(LOAD_LIMIT, DEVICES), soak.rate)
    begun = time.monotonic()
    publisher.start()
    try:
        next_kill, next_look = kill_every, look_every
        while (now := time.monotonic() - begun) < seconds:
            if now >= next_kill:
                stage.ingest.kill()
                soak.kills.append(time.monotonic() - begun)
                next_kill += kill_every
            if now >= next_look:
                soak.looks.append(look(stage, publisher, database, begun))
                tell(soak.looks[-1])
                next_look += look_every
            stage.ingest.look_after()
            stage.archiver.look_after()
            time.sleep(0.05)
        publisher.stop()
        soak.sent = publisher.total
        _wait_for_end(stage, database, soak)
        soak.disk = sum(path.stat().st_size for path in stage.rig.folder.rglob("*") if path.is_file())
    finally:
        database.close()


def look(stage: Stage, publisher: Steady, database: "Database", begun: float) -> Look:
    stored, archived = totals(database)
    at = time.monotonic() - begun
    return Look(
        at, publisher.total, stored, archived, stage.ingest.memory(), stage.archiver.memory(), publisher.lag(stored)
    )


def totals(database: "Database") -> tuple[int, int]:
    """Readings (stored, archived), as the ledger has them."""
    from sqlalchemy import func, select

    from backend.models import Stream

    with database.read() as connection:
        row = connection.execute(select(func.sum(Stream.position), func.sum(Stream.archived))).one()
    return int(row[0] or 0), int(row[1] or 0)


def _wait_for_session(stage: Stage) -> None:
    """What is published before ingest has a session at the broker waits for nobody."""
    log = stage.rig.folder / "ingest.log"
    deadline = time.monotonic() + PATIENCE
    while "connected to" not in log.read_text():
        if time.monotonic() > deadline:
            raise click.ClickException("ingest did not connect:\n" + stage.logs())
        stage.ingest.look_after()
        time.sleep(0.05)


def _wait_for_end(stage: Stage, database: "Database", soak: Soak) -> None:
    deadline = time.monotonic() + ENDING
    while True:
        soak.stored, soak.archived = totals(database)
        if min(soak.stored, soak.archived) >= soak.sent or time.monotonic() > deadline:
            return
        stage.ingest.look_after()
        stage.archiver.look_after()
        time.sleep(0.2)


def judge_archive(url: str, store: "ObjectStore", soak: Soak) -> None:
    """Is in S3 what was sent, each reading once with its value, and does verify agree? One object at a time."""
    from backend.database import Database
    from backend.parquet import decode
    from backend.verify import Finding, Verification, verify

    seen = [bytearray(soak.sent // DEVICES + 2) for _ in range(DEVICES)]
    for entry in store.list():
        if not entry.key.endswith(".parquet"):
            continue
        readings, _gaps = decode(store.get(entry.key))
        columns = readings.table.select(["device", "seq", "value"]).to_pydict()
        for device, seq, value in zip(*columns.values(), strict=True):
            number = int(device.rpartition("-")[2])
            message = (seq - 1) * DEVICES + number
            if message >= soak.sent or seen[number][seq]:
                soak.wrong.append(f"{device} seq {seq}: {'twice' if message < soak.sent else 'never sent'}")
            elif value != 20 + message * 7 % 1000 / 64:
                soak.wrong.append(f"{device} seq {seq}: {value} was not sent")
            else:
                seen[number][seq] = 1
    found = sum(map(sum, seen))
    if found != soak.sent:
        soak.wrong.append(f"{soak.sent - found} of {soak.sent} readings are not in S3")
    database = Database(url)
    try:
        soak.findings = [str(one) for one in verify(database, store, Verification()) if isinstance(one, Finding)]
    finally:
        database.close()
