"""Real servers for the tests, each on a free loopback port and with its state in a folder of the test's own.

start() returns when the server answers; kill() is kill -9; stop() ends it and is called at the latest by close().
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pymysql
from botocore.config import Config

from tests.ports import free_port

PATIENCE = 60.0


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Return when condition() is true. Raises AssertionError, naming what, when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds:.0f} s"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def program(name: str) -> str | None:
    """Path of a server's program; Debian keeps mosquitto in /usr/sbin and PostgreSQL below /usr/lib."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return str(beside)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin") or (
        str(versions[0]) if versions else None
    )


class Server:
    """One process on one port. Subclasses say how it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.user: str | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        return answers(self.port)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, user=self.user, start_new_session=True
            )
        wait_for(lambda: self.process.poll() is not None or self.ready(), f"answer of {type(self).__name__}")
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    close = stop

    def _end(self, number: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)


class Mosquitto(Server):
    """The broker as it comes, without persistence unless asked. users: name → password; none: anonymous."""

    def __init__(self, folder: Path, persistence: bool = False, users: dict[str, str] | None = None) -> None:
        super().__init__(folder)
        lines = [f"listener {self.port} 127.0.0.1", "max_packet_size 1000000", "log_type error", "log_dest stderr"]
        if persistence:
            lines += ["persistence true", f"persistence_location {folder}/"]
        if users:
            passwords = folder / "passwords"
            passwords.write_text("".join(f"{name}:{secret}\n" for name, secret in users.items()))
            subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)  # noqa: S607 - from PATH, as installed
            rules = folder / "rules"
            # What a device may do: speak under its own name, and hear what is meant for it.
            rules.write_text(
                "user backend\ntopic readwrite thermograph/#\ntopic readwrite homeassistant/#\n\n"
                # No broker can match "gw-..." within a level: a gateway speaks for devices of any name.
                "user gateway\ntopic write thermograph/v1/+/telemetry\ntopic write thermograph/v1/+/state\n"
                "topic write thermograph/v1/+/status\ntopic read thermograph/v1/+/ack\n\n"
                "pattern readwrite thermograph/v1/%u/#\n"
            )
            lines += [f"password_file {passwords}", f"acl_file {rules}", "allow_anonymous false"]
        else:
            lines.append("allow_anonymous true")
        if os.geteuid() == 0:
            lines.append("user root")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [program("mosquitto"), "-c", str(self.folder / "mosquitto.conf")]


class Postgres(Server):
    """A cluster of its own, as the user postgres when we are root: the server refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        if os.geteuid() == 0:
            self.user = "postgres"
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [program("initdb"), "-D", self.data, "-U", "thermograph", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self.user,
            cwd=folder,
        )

    def command(self) -> list[str]:
        return [
            program("postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            "-h",
            "127.0.0.1",
            "-k",
            str(self.folder),
            "-c",
            "fsync=off",  # the tests kill processes, not the machine
        ]

    def ready(self) -> bool:
        check = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(check, check=False).returncode == 0

    def stop(self) -> None:
        # Fast shutdown: SIGTERM would wait for every client to leave.
        self._end(signal.SIGINT)

    close = stop

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["Postgres"]:
        """One in a folder of its own. Not in pytest's: that is for its owner only, and the server is not root."""
        with tempfile.TemporaryDirectory(prefix="thermograph-postgres-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            server = cls(Path(folder) / "server")
            server.start()
            try:
                yield server
            finally:
                server.close()

    def url(self, name: str = "postgres") -> str:
        return f"postgresql+psycopg://thermograph@127.0.0.1:{self.port}/{name}"

    def new_database(self, name: str, like: str = "template1") -> str:
        """Create a database, empty or with all that the one named `like` has; its URL."""
        name = re.sub(r"[^a-z0-9]+", "_", name.lower())
        self._run("createdb", "--template", like, name)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """With whoever is still connected to it."""
        self._run("dropdb", "--force", url.rsplit("/", 1)[1])

    def _run(self, name: str, *words: str) -> None:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "thermograph"]
        subprocess.run([program(name), *where, *words], check=True)


class MariaDB(Server):
    """A server of its own, with one user who needs no password, and none of the machine's settings."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        # The path of a Unix socket has 107 characters at most, and a test's folder may be longer.
        self._short = Path(tempfile.mkdtemp(prefix="mariadb-"))
        command = [
            program("mariadb-install-db"),
            "--no-defaults",
            *self._own_user(),
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=4M",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        # Only now: that took so long that another process may have the first one by now.
        self.port = free_port()

    def command(self) -> list[str]:
        return [
            program("mariadbd"),
            "--no-defaults",
            *self._own_user(),
            f"--datadir={self.data}",
            f"--socket={self._short}/socket",
            f"--pid-file={self._short}/pid",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-log-file-size=4M",
            "--innodb-buffer-pool-size=32M",
            # The tests kill processes, not the machine: a commit is written, but not through to the disk.
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
            "--skip-log-bin",
        ]

    def ready(self) -> bool:
        with contextlib.suppress(OSError, pymysql.err.OperationalError):
            self._do("SELECT 1")
            return True
        return False

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._short, ignore_errors=True)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["MariaDB"]:
        """One in a folder of its own."""
        with tempfile.TemporaryDirectory(prefix="thermograph-mariadb-", ignore_cleanup_errors=True) as folder:
            server = cls(Path(folder) / "server")
            server.start()
            try:
                yield server
            finally:
                server.close()

    def url(self, name: str) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{name}"

    def new_database(self, name: str, like: str | None = None) -> str:
        """Create a database, empty or with the tables, rows and triggers of the one named `like`; its URL."""
        name = re.sub(r"[^a-z0-9]+", "_", name.lower())
        # As careless as a database may be found: migrate sees to what its tables need.
        self._do(f"CREATE DATABASE {name} CHARACTER SET latin1")
        if like:
            self._copy(like, name)
        return self.url(name)

    def _copy(self, old: str, new: str) -> None:
        with self._connect() as connection, connection.cursor() as cursor:

            def ask(statement: str) -> list[tuple]:
                cursor.execute(statement)
                return cursor.fetchall()

            cursor.execute(f"USE {old}")
            ((collation,),) = ask("SELECT @@collation_database")
            cursor.execute(f"ALTER DATABASE {new} COLLATE {collation}")
            cursor.execute(f"USE {new}")
            cursor.execute("SET foreign_key_checks = 0")  # a table may name one that comes later
            for (table,) in ask(f"SHOW TABLES FROM {old}"):
                cursor.execute(ask(f"SHOW CREATE TABLE {old}.{table}")[0][1])
                cursor.execute(f"INSERT INTO {table} SELECT * FROM {old}.{table}")  # noqa: S608 - names of ours
            for trigger, *_ in ask(f"SHOW TRIGGERS FROM {old}"):
                cursor.execute(ask(f"SHOW CREATE TRIGGER {old}.{trigger}")[0][2])
            connection.commit()

    def drop_database(self, url: str) -> None:
        self._do(f"DROP DATABASE {url.rsplit('/', 1)[1]}")

    def _do(self, statement: str) -> None:
        with self._connect() as connection:
            connection.cursor().execute(statement)

    def _connect(self) -> pymysql.Connection:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root")

    @staticmethod
    def _own_user() -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []


class Redis(Server):
    """In memory only. password: what clients have to say first."""

    def __init__(self, folder: Path, password: str = "") -> None:
        super().__init__(folder)
        self._password = password

    def command(self) -> list[str]:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [program("redis-server"), *words, *(["--requirepass", self._password] if self._password else [])]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class MotoS3(Server):
    """moto's S3 over HTTP. It forgets all when it ends."""

    def command(self) -> list[str]:
        return [program("moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def create_bucket(endpoint: str, name: str) -> None:
    client = boto3.Session().client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(signature_version="s3v4")
    )
    client.create_bucket(Bucket=name)
