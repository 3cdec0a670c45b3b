"""python -m tools bench faults: outages of a minute each while readings keep coming, and where they waited."""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from .ending import terminable


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long each fault lasts.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), help="Only on this one.")
@click.option("--only", metavar="TEXT", default="", help="Only faults whose name contains this.")
@click.option("--seed", type=int, default=None, help="The first life's seed; a new one each time without it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def faults(seconds: float, database: str | None, only: str, seed: int | None, as_json: bool) -> None:
    """Broker, database, disk, S3, clock and processes fail under load: is any reading lost or doubled?

    Each fault hits a life of its own, with a real broker, database and S3, in which devices sample and send all the
    time. While it lasts the ledger has to say where readings wait: on the device, or for the archive. Then it is
    mended, and what was sampled has to be in S3, each reading once. The disk of 1 MB needs root.
    """
    seed = int(time.time()) % 1_000_000 * 1000 if seed is None else seed
    if not as_json:
        click.echo(f"seed {seed}")
    with terminable():
        reports, broken, skipped = run(seed, seconds, database, only, quiet=as_json)
    if as_json:
        told = [dataclasses.asdict(report) for report in reports]
        print(json.dumps({"seed": seed, "faults": told, "broken": broken, "skipped": skipped}))
    else:
        show(reports, broken, skipped)
    if broken:
        raise SystemExit(1)


def run(
    seed: int, seconds: float, database: str | None, only: str, quiet: bool
) -> tuple[list[Any], dict[str, str], dict[str, str]]:
    """(reports, fault and database → what broke, fault and database → why it was not made)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tests.end_to_end import faults
    from tests.end_to_end.stage import DATABASES, Servers

    chosen = [
        (fault, kind)
        for fault in faults.FAULTS
        for kind in DATABASES
        if kind in fault.databases and kind == (database or kind) and only in fault.name
    ]
    reports: list[Any] = []
    broken: dict[str, str] = {}
    skipped: dict[str, str] = {}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with (
        tempfile.TemporaryDirectory(prefix="thermograph-faults-", ignore_cleanup_errors=True) as folder,
        Servers(Path(folder)) as servers,
        Progress(*columns, disable=quiet, refresh_per_second=2) as progress,
    ):
        bar = progress.add_task("", total=len(chosen))
        for number, (fault, kind) in enumerate(chosen):
            name = f"{fault.name}, {kind}"
            progress.update(bar, description=name)
            try:
                reports.append(faults.run(servers, fault, kind, seed + number, seconds))
            except faults.Unavailable as error:
                skipped[name] = str(error)
            except AssertionError as error:
                broken[name] = str(error)
            progress.advance(bar)
    return reports, broken, skipped


def show(reports: list[Any], broken: dict[str, str], skipped: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("fault", "database", title="under load", title_justify="left")
    for column in ("sampled", "meanwhile", "waited on devices", "waited for the archive", "seconds"):
        table.add_column(column, justify="right")
    for each in reports:
        counts = (each.sampled, each.during, each.on_device, each.for_archive)
        table.add_row(each.fault, each.database, *(f"{count:,}" for count in counts), f"{each.seconds:.0f}")
    Console().print(table)
    if not broken:
        print("what was sampled is in S3, each reading once; what waited was accounted for; verify agrees")
    for name, what in skipped.items():
        print(f"not made: {name}: {what}")
    for name, what in broken.items():
        print(f"BROKEN {name}: {what[:3000]}")
