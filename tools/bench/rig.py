"""The benchmarks' broker and databases, and the processes that are measured at them."""

import contextlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil

from .load import Load, Publisher, publish

SESSION = "bench-ingest"
PATIENCE = 120.0
POLL = 0.01
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """seconds from the connection to the last reading's commit; cpu: processor seconds of the process in them."""

    readings: int
    seconds: float
    cpu: float
    memory: int = 0

    @property
    def rate(self) -> float:
        return self.readings / self.seconds


class Rig:
    """A mosquitto without limits, with TLS on a second port where openssl is installed; PostgreSQL when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: Any = importlib.import_module("tests.servers")
        self._stack = contextlib.ExitStack()
        self._databases = 0
        self.postgres: Any = None
        self.ca = _certificates(folder)
        self.broker = self._start_broker()

    def close(self) -> None:
        self._stack.close()

    def start_postgres(self) -> bool:
        """False when it is not installed."""
        if self.servers.program("postgres") and self.postgres is None:
            durable: Any = type(
                "Durable", (self.servers.Postgres,), {"command": _durable(self.servers.Postgres.command)}
            )
            self.postgres = self._stack.enter_context(durable.running())
        return self.postgres is not None

    @property
    def has_tls(self) -> bool:
        return self.ca is not None

    def new_database(self, kind: str) -> str:
        """URL of an empty, migrated database on `sqlite` or `postgresql`."""
        from backend.database import Database

        self._databases += 1
        name = f"bench{self._databases}"
        url = f"sqlite:///{self.folder}/{name}.db" if kind == "sqlite" else self.postgres.new_database(name)
        database = Database(url)
        database.migrate()
        database.close()
        return str(url)

    def environment(self, database: str, **settings: str) -> dict[str, str]:
        given = {
            "broker": f"mqtt://127.0.0.1:{self.broker.port}",
            "ingest_id": SESSION,
            "database": database,
            "enrolment": "open",
            "broker_version": "5",
            **settings,
        }
        return os.environ | {f"THERMOGRAPH_{name.upper()}": value for name, value in given.items()}

    def tls(self) -> dict[str, str]:
        return {"broker": f"mqtts://127.0.0.1:{self.broker.tls_port}", "broker_ca": str(self.ca)}

    def queue(self, load: Load) -> None:
        """Make ingest's session, as if it had been there before, and let the whole load wait in it."""
        self.forget()
        subscribe = self._mosquitto_sub("-c", "-E")
        subprocess.run(subscribe, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
        publish(self.broker.port, load)

    def forget(self) -> None:
        """End the session, with all that waits in it."""
        subprocess.run(self._mosquitto_sub("-E"), check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)

    def drain_by_mosquitto_sub(self, load: Load, tls: bool = False, live: bool = False) -> Run:
        """The whole load through mosquitto_sub, QoS 1, to /dev/null."""
        command = [*self._mosquitto_sub("-c", "-C", str(load.messages), tls=tls)]
        if live:
            self.forget()
        else:
            self.queue(load)
        publisher = Publisher(self.broker.port, load) if live else None
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            if publisher:
                time.sleep(0.3)
                started = time.monotonic()
                publisher.run()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return Run(load.total, time.monotonic() - started, usage.ru_utime + usage.ru_stime)

    def drain(self, command: list[str], environment: dict[str, str], load: Load, done: Callable[[str], bool]) -> Run:
        """The load that waits, through one of our processes; done(its last line of output) says when all is stored."""
        self.queue(load)
        with Watched(command, environment) as process:
            process.wait_for(lambda: process.connected)
            process.wait_for(lambda: done(process.last_line))
            return process.run(load.total)

    def live(
        self,
        command: list[str],
        environment: dict[str, str],
        load: Load,
        done: Callable[[str], bool],
        rate: float = 0.0,
    ) -> Run:
        """The load while it is published."""
        self.forget()
        publisher = Publisher(self.broker.port, load)
        with Watched(command, environment) as process:
            process.wait_for(lambda: process.connected)
            time.sleep(0.5)
            process.begin()
            publisher.run(rate)
            process.wait_for(lambda: done(process.last_line))
            return process.run(load.total)

    def _mosquitto_sub(self, *options: str, tls: bool = False) -> list[str]:
        port = self.broker.tls_port if tls else self.broker.port
        trust = ["--cafile", str(self.ca)] if tls else []
        topics = "thermograph/v1/+/telemetry"
        return [
            "mosquitto_sub",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            *trust,
            "-i",
            SESSION,
            "-q",
            "1",
            "-t",
            topics,
            *options,
        ]

    def _start_broker(self) -> Any:
        if not self.servers.program("mosquitto") or not self.servers.program("mosquitto_sub"):
            raise click.ClickException("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
        broker = self.servers.Mosquitto(self.folder / "broker")
        broker.tls_port = self.servers.free_port()
        # In front of the listener go the general options, behind it what belongs to the second one.
        conf = self.folder / "broker" / "mosquitto.conf"
        limits = "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
        second = f"listener {broker.tls_port} 127.0.0.1\n"
        second += f"certfile {self.folder}/broker.pem\nkeyfile {self.folder}/broker.key\n" if self.has_tls else ""
        conf.write_text(limits + conf.read_text() + (second if self.has_tls else ""))
        broker.start()
        self._stack.callback(broker.close)
        return broker


class Watched:
    """A process of ours: when it connected, the last line it printed, its processor time and memory."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.last_line = ""
        self.connected = False
        self._log: list[str] = []
        self._process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._info = psutil.Process(self._process.pid)
        self._threads = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        self.begin()

    def __enter__(self) -> "Watched":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    def begin(self) -> None:
        """Count time from now on."""
        self._started, self._cpu = time.monotonic(), self._cpu_time()

    def run(self, readings: int) -> Run:
        ended = time.monotonic()
        return Run(readings, ended - self._started, self._cpu_time() - self._cpu, self._info.memory_info().rss)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException("it did not get there:\n" + "\n".join(self._log[-20:]))
            time.sleep(POLL)

    def memory(self) -> int:
        """Resident bytes."""
        return int(self._info.memory_info().rss)

    def _cpu_time(self) -> float:
        times = self._info.cpu_times()
        return float(times.user + times.system)

    def _read_output(self) -> None:
        for line in self._process.stdout or ():
            self.last_line = line.strip()

    def _read_log(self) -> None:
        for line in self._process.stderr or ():
            self._log.append(line.rstrip())
            if "connected to" in line and "disconnected" not in line and not self.connected:
                # The broker begins to send what waits right after this.
                self.begin()
                self.connected = True


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """Everything in a folder of its own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="thermograph-bench-") as folder:
        made = Rig(Path(folder))
        try:
            yield made
        finally:
            made.close()


def ingest_command() -> list[str]:
    return [sys.executable, "-m", "backend", "ingest"]


def drain_command(client: str) -> list[str]:
    return [sys.executable, "-m", "tools.bench.drain", client]


@contextlib.contextmanager
def stored(url: str, readings: int) -> Iterator[Callable[[str], bool]]:
    """Whether the ledger accounts for so many readings."""
    from sqlalchemy import func, select

    from backend.database import Database
    from backend.models import Stream

    database = Database(url)

    def done(_line: str) -> bool:
        with database.read() as connection:
            return int(connection.scalar(select(func.sum(Stream.position))) or 0) >= readings

    yield done
    database.close()


def printed(readings: int) -> Callable[[str], bool]:
    return lambda line: int(line or 0) >= readings


def prepare_for_drain(url: str, load: Load) -> None:
    """The devices, channels and streams that tools.bench.drain takes for granted."""
    from backend.bulk import Bulk
    from backend.database import Database
    from backend.models import Channel, Device, Stream

    database = Database(url)
    numbers = range(1, load.devices + 1)
    with database.write() as connection:
        bulk = Bulk(connection)
        devices = [(n, load.name(n - 1), True, 0) for n in numbers]
        bulk.insert(Device, ("id", "name", "enrolled", "created"), devices)
        bulk.insert(
            Channel, ("id", "device_id", "sensor", "unit"), [(n, n, "28ff641e8216c3a1", "Cel") for n in numbers]
        )
        columns = ("id", "device_id", "stream", "sampled", "position", "frozen", "archived")
        bulk.insert(Stream, columns, [(n, n, f"{n - 1:08x}", 0, 0, 0, 0) for n in numbers])
    database.close()


def _certificates(folder: Path) -> Path | None:
    """A certificate for 127.0.0.1 that signs itself; None without openssl."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", "broker.key", "-out", "broker.pem", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, *files, *names], cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        return None
    return folder / "broker.pem"


def _durable(command: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    """The tests' PostgreSQL does without fsync; a benchmark of durable readings must not."""
    return lambda server: [re.sub("^fsync=off$", "fsync=on", word) for word in command(server)]
