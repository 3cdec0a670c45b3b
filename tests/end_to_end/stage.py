"""The servers that many lives share: one S3, one PostgreSQL, and a zygote that has imported the backend."""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from backend.objects import ObjectStore
from backend.settings import Settings
from tests.databases import Databases
from tests.end_to_end.world import BUCKET, KEY, SECRET, SeaweedFS
from tests.end_to_end.zygote import Zygote, share_descriptions
from tests.servers import Mosquitto, Postgres

DATABASES = ("sqlite", "postgresql")


class Servers:
    """None of them outlives `with`, nor a broker that a life has left behind."""

    def __init__(self, folder: Path, set_variable: Callable[[str, str], None] = os.environ.__setitem__) -> None:
        """set_variable: hands this process's own boto3 its credentials, which it takes from the environment only."""
        self.folder = folder
        self._set_variable = set_variable
        self._open = ExitStack()
        self._making = threading.Lock()
        self._ended = False
        self.environ = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def __enter__(self) -> "Servers":
        with ExitStack() as starting:
            self.s3 = SeaweedFS(self.folder / "s3")
            starting.callback(self.s3.kill)
            self.s3.start()
            self.postgres = starting.enter_context(Postgres.running())
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
            share_descriptions()
            ObjectStore(self.settings).create_bucket()
            self.zygote = Zygote(self.folder / "logs", self.environ | self.settings.environment())
            starting.callback(self.zygote.close)
            self._databases = Databases(self.folder, lambda _kind: self.postgres)
            for kind in DATABASES:
                self._databases.prepare(kind)
            self._open = starting.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._making:
            self._ended = True
        self._open.close()

    def start_broker(self, folder: Path) -> Mosquitto:
        """One more."""
        with self._making:
            if self._ended:
                raise RuntimeError("the servers have ended")
            broker = Mosquitto(folder)
            self._open.callback(broker.kill)
            broker.start()
        return broker

    def new_database(self, kind: str, folder: Path) -> str:
        """The URL of a database with all tables and no rows. kind: one of DATABASES."""
        return self._databases.migrated(kind, folder)

    def drop_database(self, url: str) -> None:
        if not url.startswith("sqlite") and not self._ended:
            self.postgres.drop_database(url)
