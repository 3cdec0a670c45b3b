"""Faults in the middle of the load: while each lasts, readings keep coming, and the ledger says where they wait.

tests/end_to_end/test_faults_under_load.py lives through each for some seconds; `tools bench faults` for a minute.
"""

import dataclasses
import email.utils
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from backend import ledger
from tests.end_to_end.judge import Broken, account, count_archived
from tests.end_to_end.kills import PATIENCE, Life
from tests.end_to_end.stage import DATABASES, Servers
from tests.proxy import BUSY, Proxy
from tests.servers import program, wait_for

PACE = 0.1  # seconds between samples, at least
MOST_SAMPLES = 60  # in a fault: with each one, a device sends all that it holds
MEGABYTE = 1_048_576
ROOM = 60_000  # bytes that the full disk has left: too few for a commit and the log in front of it
HOUR = 3600


class Unavailable(Exception):
    """This fault cannot be made here."""


@dataclasses.dataclass(frozen=True)
class Places:
    """Readings that wait. on_device: held by devices, unknown to the ledger. for_archive: as the ledger says."""

    on_device: int
    for_archive: int


@dataclasses.dataclass
class Report:
    """What came of a fault: readings sampled while it lasted and in all, and the most that waited in either place."""

    fault: str
    database: str
    during: int = 0
    sampled: int = 0
    on_device: int = 0
    for_archive: int = 0
    seconds: float = 0.0

    def note(self, places: Places) -> None:
        self.on_device = max(self.on_device, places.on_device)
        self.for_archive = max(self.for_archive, places.for_archive)


@dataclasses.dataclass(frozen=True)
class Fault:
    """during: makes the fault, and mends it at its end. waits: where readings gather meanwhile, a field of Places."""

    name: str
    during: Callable[["Scene"], AbstractContextManager[None]]
    waits: str | None
    databases: tuple[str, ...] = DATABASES


@dataclasses.dataclass
class Scene:
    """A life under load on its way to S3, and its disk."""

    servers: Servers
    life: Life
    way_to_s3: Proxy
    disk: Path | None = None


def run(servers: Servers, fault: Fault, database: str, seed: int, seconds: float) -> Report:
    """Raises Broken when a reading is lost, doubled or unaccounted for; Unavailable."""
    report = Report(fault.name, database)
    started = time.monotonic()
    with ExitStack() as open_:
        way = Proxy(servers.s3.port)
        open_.callback(way.close)
        folder = servers.folder / f"{fault.name.replace(' ', '-')}.{database}.{seed}"
        disk = open_.enter_context(small_disk(folder)) if fault.name == FULL_DISK else None
        life = Life(servers, seed, database, f"http://127.0.0.1:{way.port}", disk)
        life.begin(open_)
        scene = Scene(servers, life, way, disk)
        with under_load(life, max(PACE, seconds / MOST_SAMPLES)):
            wait_for(lambda: count_archived(life.database), "first archived readings", PATIENCE)
            before = len(life.fleet.readings)
            with fault.during(scene):
                _watch(life, fault, report, seconds)
            report.during = len(life.fleet.readings) - before
            archived_more(life)
        life.judge()
        report.sampled = len(life.fleet.readings)
    report.seconds = time.monotonic() - started
    return report


def _watch(life: Life, fault: Fault, report: Report, seconds: float) -> None:
    """Until so many seconds are over, and readings have been seen to wait where the fault makes them wait."""
    ends, gives_up = time.monotonic() + seconds, time.monotonic() + seconds + PATIENCE
    begun = known = None
    while time.monotonic() < ends or (fault.waits and not _more(begun, known, fault.waits)):
        if time.monotonic() > gives_up:
            raise Broken(f"{fault.name}: nothing waited ({fault.waits}): {begun}, then {known}")
        time.sleep(PACE)
        if fault.name == STOPPED:
            # Nobody can be asked what the ledger says: what is not freed is on the devices.
            known = Places(sum(last - freed for freed, last in life.fleet.held().values()), 0)
        else:
            known = places(life)
        begun = begun or known
        report.note(known)


def _more(before: Places | None, now: Places | None, where: str) -> bool:
    return before is not None and now is not None and getattr(now, where) > getattr(before, where) + 10


def places(life: Life) -> Places:
    """Where readings wait now. Raises Broken when a device let one go that the ledger does not know."""
    held = life.fleet.held()
    with life.database.read() as connection:
        streams = {stream.device: stream for stream in ledger.read(connection)}
    on_device = 0
    for device, (freed, last) in held.items():
        stream = streams.get(device)
        known = stream.stored + stream.lost if stream else 0
        if known < freed:
            raise Broken(f"{device} let go of seq 1-{freed}, and the ledger knows of {known} readings: {stream}")
        on_device += max(0, last - known)
    for stream in streams.values():
        if stream.sampled != stream.stored + stream.lost + stream.waiting_on_device or stream.waiting_for_archive < 0:
            raise Broken(f"the ledger does not add up: {stream}")
    return Places(on_device, sum(stream.waiting_for_archive for stream in streams.values()))


@contextmanager
def under_load(life: Life, pause: float) -> Iterator[None]:
    """Readings keep coming, so many seconds after each other."""
    enough = threading.Event()

    def sample() -> None:
        while not enough.wait(pause):
            life.fleet.sample()

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield
    finally:
        enough.set()
        sampling.join()


def archived_more(life: Life) -> None:
    """Return when more is archived than was sampled by now."""
    wanted = len(life.fleet.readings)
    wait_for(lambda: count_archived(life.database) > wanted, f"archive of more than {wanted} readings", PATIENCE)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 1 MB. Raises Unavailable: only root may mount one."""
    folder.mkdir()
    command = [program("mount") or "mount", "-t", "tmpfs", "-o", f"size={MEGABYTE}", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        raise Unavailable("only root may mount a disk of 1 MB")
    try:
        yield folder
    finally:
        subprocess.run([program("umount") or "umount", "-l", str(folder)], check=True)


# -- the faults


@contextmanager
def broker_gone(scene: Scene) -> Iterator[None]:
    """It comes back without what it had: it keeps nothing on disk."""
    scene.life.broker.kill()
    yield
    scene.life.broker.start()


@contextmanager
def database_stopped(scene: Scene) -> Iterator[None]:
    if scene.life.kind == "sqlite":
        # SQLite has no server to stop: somebody holds its lock, as a backup or a stuck process would.
        connection = scene.life.database.engine.connect().execution_options(sqlite_begin="EXCLUSIVE")
        with connection.begin():
            yield
        connection.close()
    else:
        scene.servers.postgres.stop()
        try:
            yield
        finally:
            scene.servers.postgres.start()


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    space = os.statvfs(scene.disk)
    filler = scene.disk / "filler"
    filler.write_bytes(b"x" * max(0, space.f_bavail * space.f_bsize - ROOM))
    yield
    filler.unlink()


@contextmanager
def s3_busy(scene: Scene) -> Iterator[None]:
    scene.way_to_s3.answer = BUSY
    yield
    scene.way_to_s3.answer = None


@contextmanager
def s3_deaf(scene: Scene) -> Iterator[None]:
    """It does what it is asked, and nobody hears the answer."""
    scene.way_to_s3.deaf = True
    yield
    scene.way_to_s3.deaf = False


@contextmanager
def s3_cutting(scene: Scene) -> Iterator[None]:
    scene.way_to_s3.cut = 1500
    yield
    scene.way_to_s3.cut = None


@contextmanager
def clock_skewed(scene: Scene) -> Iterator[None]:
    """S3 refuses all that is an hour off by its clock. Devices' clocks are off now and then in any fleet."""
    body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
    dated = email.utils.formatdate(time.time() + HOUR, usegmt=True)
    head = f"HTTP/1.1 403 Forbidden\r\nDate: {dated}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    scene.way_to_s3.answer = f"{head}\r\nConnection: close\r\n\r\n".encode() + body
    yield
    wait_for(lambda: "behind S3's" in scene.life.log("archive"), "warning that the clock is behind", PATIENCE)
    scene.way_to_s3.answer = None


@contextmanager
def all_doubled(scene: Scene) -> Iterator[None]:
    """All that was ever sent comes three times more, in any order."""
    yield
    for _ in range(3):
        scene.life.fleet.send_everything()


@contextmanager
def two_archivers(scene: Scene) -> Iterator[None]:
    first = scene.life.running["archive"]
    scene.life.start("archive")
    yield
    first.kill()
    scene.life.take_lease()


@contextmanager
def ingest_stopped(scene: Scene) -> Iterator[None]:
    """SIGSTOP, and SIGCONT."""
    ingest = scene.life.running["ingest"]
    ingest.signal(signal.SIGSTOP)
    stored = account(scene.life.database).stored
    yield
    if account(scene.life.database).stored != stored:
        raise Broken("ingest was stopped, and stored something")
    ingest.signal(signal.SIGCONT)


STOPPED, FULL_DISK = "database stopped", "disk of 1 MB full"
FAULTS = (
    Fault("broker restarted", broker_gone, "on_device"),
    Fault(STOPPED, database_stopped, "on_device"),
    Fault(FULL_DISK, disk_full, "on_device", ("sqlite",)),
    Fault("S3 answers 503", s3_busy, "for_archive"),
    Fault("S3 times out after success", s3_deaf, "for_archive"),
    Fault("S3 cuts uploads", s3_cutting, "for_archive"),
    Fault("clock an hour off", clock_skewed, "for_archive"),
    Fault("all doubled and shuffled three times", all_doubled, None),
    Fault("two archivers", two_archivers, None),
    Fault("ingest stopped by SIGSTOP", ingest_stopped, "on_device"),
)
