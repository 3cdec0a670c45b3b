"""The whole system, of real parts on free ports: broker, database, S3 server, ingest, archive, devices.

A world says what was sampled (from the devices' own consoles) and what is archived (from the S3 objects), and waits
until the one is in the other.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

from backend import ledger
from backend.database import Database
from backend.objects import ObjectStore
from backend.parquet import ArchivedReading, decode
from backend.run import micropython, umqtt
from backend.settings import Settings
from tests.ports import free_port
from tests.proxy import Proxy
from tests.servers import Mosquitto, Server, program, wait_for

ROOT = Path(__file__).parents[2]
SAMPLED = re.compile(r"^(\S+) sample .* seq (\d+)$", re.MULTILINE)
BUCKET = "archive"
KEY, SECRET = "thermograph", "not-a-secret-but-a-test"


class SeaweedFS(Server):
    """The S3 server that `make run` embeds. It survives kill -9."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        identity = {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        self.inner = [free_port() for _ in range(9)]

    def command(self) -> list[str]:
        names = ("s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
        names += ("filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc")
        ports = [f"-{name}={port}" for name, port in zip(names, self.inner, strict=True)]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-admin.ui=false", "-webdav=false"]
        off += ["-s3.autoCreateBucket=false"]
        off += ["-master.telemetry=false", "-volume.preStopSeconds=0"]
        where = [f"-dir={self.folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={self.port}"]
        return [program("weed"), "mini", *where, f"-s3.config={self.folder}/s3.json", *ports, *off]

    def ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
            return True
        return False


class Part(Server):
    """One of the backend's own processes: `python -m backend NAME`."""

    def __init__(self, folder: Path, name: str, settings: Settings) -> None:
        super().__init__(folder)
        self.name = name
        self.settings = settings

    def command(self) -> list[str]:
        return [sys.executable, "-m", "backend", self.name]

    def ready(self) -> bool:
        return "ready" in (self.folder / "log").read_text()

    def start(self) -> None:
        (self.folder / "log").write_text("")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | self.settings.environment() | {"PYTHONUNBUFFERED": "1"},
            )
        wait_for(lambda: self.process.poll() is not None or self.ready(), f"ready of {self.name}")
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]


class Device(Server):
    """The firmware in a folder of its own, on MicroPython. Its console keeps what it said in all of its lives."""

    def __init__(self, folder: Path, broker_port: int, interval: float, **more: object) -> None:
        super().__init__(folder)
        self.name = folder.name
        broker = {"host": "127.0.0.1", "port": broker_port, "user": self.name, "password": SECRET}
        broker |= more.pop("broker", {})
        settings = {
            "device": self.name,
            "broker": broker,
            "interval": interval,
            "sensors": [{"kind": "simulated", "id": "28ff641e8216c3a1", "seed": 7}],
        }
        (folder / "settings.json").write_text(json.dumps(settings | more))

    def command(self) -> list[str]:
        interpreter = micropython.find(os.environ)
        assert interpreter, "MicroPython is missing: python -m tools setup --for test"
        return [*interpreter, "-X", "heapsize=192k", str(ROOT / "firmware" / "main.py"), str(self.folder)]

    def start(self) -> None:
        path = [str(ROOT / "firmware"), str(umqtt.find(os.environ) or umqtt.fetch())]
        with (self.folder / "console").open("ab") as console:
            self.process = subprocess.Popen(
                self.command(),
                stdout=console,
                stderr=console,
                cwd=self.folder,
                env=os.environ | {"MICROPYPATH": ":".join([*path, ".frozen"])},
            )

    @property
    def console(self) -> str:
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def sampled(self) -> list[int]:
        """Every seq that it said it has kept, in the order it said so."""
        return [int(seq) for _, seq in SAMPLED.findall(self.console)]

    def sample_more(self, count: int) -> None:
        """Return when it has sampled so many more."""
        wanted = len(self.sampled) + count
        wait_for(lambda: len(self.sampled) >= wanted, f"{wanted} samples of {self.name}", 60)


class World:
    def __init__(self, folder: Path, database_url: str, persistence: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        users = {"backend": SECRET, "gateway": SECRET, "fridge-1": SECRET, "garbage": SECRET}
        self.broker = Mosquitto(folder / "broker", persistence, users)
        self.s3 = SeaweedFS(folder / "s3")
        self.network = Proxy(self.broker.port)
        self.way_to_s3 = Proxy(self.s3.port)
        self.settings = Settings(
            database=database_url,
            broker=f"mqtt://127.0.0.1:{self.broker.port}",
            broker_user="backend",
            broker_password=SECRET,
            enrolment="open",
            s3_endpoint=f"http://127.0.0.1:{self.way_to_s3.port}",
            s3_bucket=BUCKET,
            archive_age=3,
        )
        self.database = Database(database_url)
        self.ingest = Part(folder / "ingest", "ingest", self.settings)
        self.archive = Part(folder / "archive", "archive", self.settings)
        self.devices: list[Device] = []

    def start(self) -> None:
        self.broker.start()
        self.s3.start()
        self.database.migrate()
        self.store = ObjectStore(self.settings)
        self.store.create_bucket()
        self.ingest.start()
        self.archive.start()

    def add_device(self, name: str = "fridge-1", interval: float = 0.1, **more: object) -> Device:
        device = Device(self.folder / name, self.network.port, interval, **more)
        self.devices.append(device)
        device.start()
        return device

    def close(self) -> None:
        for server in [*self.devices, self.ingest, self.archive, self.s3, self.broker]:
            if server.process and server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        self.network.close()
        self.way_to_s3.close()
        self.database.close()

    def ledgers(self) -> list[ledger.StreamLedger]:
        with self.database.read() as connection:
            return ledger.read(connection)

    def archived(self) -> list[ArchivedReading]:
        return [row for entry in self.store.list("day=") for row in decode(self.store.get(entry.key))[0].rows()]

    def run_for(self, seconds: float) -> None:
        """Let time pass while the devices sample: for faults that are said to last so long."""
        time.sleep(seconds)

    def assert_nothing_lost_or_doubled(self, device: Device, seconds: float = 90.0) -> ledger.StreamLedger:
        """All that the device has sampled by now is, or soon will be, in S3: each reading once, or in a named gap."""
        newest = device.sampled[-1]

        def arrived() -> bool:
            accounts = self.ledgers()
            return bool(accounts) and accounts[0].archived + accounts[0].lost >= newest

        try:
            wait_for(arrived, f"archive of seq {newest}", seconds)
        except AssertionError as error:
            tail = "\n".join(device.console.splitlines()[-15:])
            log = (self.folder / "ingest" / "log").read_text()[-1500:]
            raise AssertionError(f"{error}\n{self.ledgers()}\n{tail}\n{log}") from None
        (account,) = self.ledgers()
        rows = self.archived()
        assert {(row.device, row.stream) for row in rows} == {(device.name, account.stream)}
        counts = Counter(row.seq for row in rows)
        assert [seq for seq, count in counts.items() if count > 1] == []
        lost = {seq for gap in account.gaps for seq in range(gap.first, gap.last + 1)}
        expected = set(range(1, newest + 1))
        assert expected - counts.keys() - lost == set()
        assert counts.keys() & lost == set()
        # What the device said it had kept is never in a gap, whatever the gap's cause.
        assert set(device.sampled) & lost == set()
        assert account.sampled == account.stored + account.lost + account.waiting_on_device
        return account
