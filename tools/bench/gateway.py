"""python -m tools bench gateway: a crowd of TCP clients, a tenth of it hostile, over kill -9 of gateway and broker."""

import dataclasses
import json
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tests.end_to_end.siege import Report


@click.command()
@click.option("--clients", default=2_000, show_default=True, help="TCP clients at a time; a tenth of them is hostile.")
@click.option("--readings", default=15, show_default=True, help="Readings of each good client.")
@click.option("--seconds", default=60.0, show_default=True, help="Time over which a client spreads them.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True,
              help="Where ingest stores them.")  # fmt: skip
@click.option("--seed", type=int, default=None, help="Of the clients' pauses and noise; a new one without it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def gateway(clients: int, readings: int, seconds: float, database: str, seed: int | None, as_json: bool) -> None:
    """Besiege the gateway, and prove that every reading it answered with ok is in S3 exactly once.

    Hostile clients never end their line, send a byte a second, a line of 1 GB, random bytes, or connect and hang. The
    gateway is killed with -9 when a third of the readings is answered, the broker (which forgets all) at two thirds.
    Broker, database and S3 server are real. The gateway's memory is printed beside its bound.
    """
    seed = int(time.time()) % 1_000_000 if seed is None else seed
    from tests.end_to_end.judge import Broken

    broken = ""
    report = None
    try:
        report = run(clients, readings, seconds, database, seed)
    except Broken as error:
        broken = str(error)
    if as_json:
        told = dataclasses.asdict(report) if report else {}
        print(json.dumps({**told, "database": database, "seed": seed, "broken": broken}))
    elif report:
        show(report, seed)
    else:
        print(f"BROKEN, seed {seed}: {broken}")
    if broken:
        raise SystemExit(1)


def run(clients: int, readings: int, seconds: float, database: str, seed: int) -> "Report":
    """Raises Broken; SettingsError when a server is not installed."""
    from backend.errors import SettingsError
    from tests.end_to_end.siege import Siege
    from tests.end_to_end.world import KEY, SECRET, World
    from tests.servers import Postgres, program

    for name in ("mosquitto", "weed", *(["postgres"] if database == "postgresql" else [])):
        if not program(name):
            raise SettingsError(f"{name} is not installed.", "Run: python -m tools setup --for test")
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        url = f"sqlite:///{folder}/thermograph.db"
        if database == "postgresql":
            url = stack.enter_context(Postgres.running()).new_database("gateway")
        world = World(folder / "world", url)
        stack.callback(world.close)
        world.start()
        return Siege(folder, world, clients, readings, seconds, seed).run()


def show(report: "Report", seed: int) -> None:
    from rich.console import Console
    from rich.table import Table

    def megabytes(size: int) -> str:
        return f"{size / 1e6:,.0f} MB"

    def counted(what: dict[str, int]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in sorted(what.items()))

    table = Table(title=f"siege of the gateway, seed {seed}", title_justify="left", show_header=False)
    for name, text in (
        ("clients", f"{report.clients:,}, a tenth hostile; connected at once {report.most_connected:,}"),
        ("readings answered ok", f"{report.readings:,}"),
        ("rows in S3", f"{report.archived:,}: each once, nothing else"),
        ("connections lost, reading sent again", f"{report.sent_again:,}"),
        ("attacks", counted(report.attacks)),
        ("troubles it named", counted(report.troubles)),
        ("memory before the crowd came", megabytes(report.memory_before)),
        ("memory at its highest", megabytes(report.memory_most)),
        ("what clients can make it hold at most", megabytes(report.memory_bound)),
        ("time", f"{report.seconds:.0f} s"),
    ):
        table.add_row(name, text)
    Console().print(table)
