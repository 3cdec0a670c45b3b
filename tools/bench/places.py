"""Where the benchmarks of the archive run: an S3 server and databases of their own, on this machine, in a folder."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from backend.database import Database
    from backend.objects import ObjectStore
    from backend.settings import Settings


@contextlib.contextmanager
def local_s3(folder: Path) -> Iterator["ObjectStore"]:
    """SeaweedFS, as `make run` embeds it, with an empty bucket."""
    from backend.objects import ObjectStore

    with s3_server(folder) as settings:
        store = ObjectStore(settings)
        store.create_bucket()
        yield store


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator["Settings"]:
    """SeaweedFS, and the settings that lead to it; its credentials are in the environment meanwhile."""
    from backend.settings import Settings

    world = importlib.import_module("tests.end_to_end.world")
    server = world.SeaweedFS(folder / "s3")
    server.start()
    before = {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    # boto3 looks for its credentials in the environment and nowhere else that we could hand them.
    os.environ.update(AWS_ACCESS_KEY_ID=world.KEY, AWS_SECRET_ACCESS_KEY=world.SECRET)
    try:
        yield Settings(s3_endpoint=f"http://127.0.0.1:{server.port}", s3_bucket="bench-archive")
    finally:
        server.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def new_database(folder: Path, kind: str, name: str = "bench") -> Iterator["Database"]:
    """A migrated database on `sqlite`, or on a PostgreSQL of its own, which syncs to disk."""
    from backend.database import Database

    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{folder}/{name}.db"
        if kind == "postgresql":
            url = stack.enter_context(_postgres()).new_database(name)
        database = Database(url)
        stack.callback(database.close)
        database.migrate()
        yield database


def _postgres() -> Any:
    servers: Any = importlib.import_module("tests.servers")
    if not servers.program("postgres"):
        raise click.ClickException("PostgreSQL is not installed: python -m tools setup --for test")

    class Durable(servers.Postgres):  # type: ignore[misc]
        def command(self) -> list[str]:
            return [part for part in super().command() if part != "fsync=off"][:-1]

    return Durable.running()
