"""python -m backend report: an excursion report from a terminal."""

import getpass
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from .settings import Settings


class Moment(click.ParamType):
    """Unix ms."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("write it as 2026-11-23 or 2026-11-23T08:00+01:00", param, ctx)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


@click.command()
@click.argument("device")
@click.option(
    "--from", "since", type=Moment(), required=True, help="Start, as 2026-11-01 or with a time; UTC without a zone."
)
@click.option("--to", "until", type=Moment(), help="End; now, if not given.")
@click.option("--sensor", default="", help="Only this sensor of the device.")
@click.option(
    "--pdf", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write it to this file as PDF."
)
@click.option("--csv", "table", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write it as CSV.")
@click.option("--by", default="", help="Who makes it; the user of this terminal, if not given.")
def report(
    device: str, since: int, until: int | None, sensor: str, pdf: Path | None, table: Path | None, by: str
) -> None:
    """An excursion report of a device: statistics, exposure, episodes, gaps, ledger, archive hashes.

    \b
    python -m backend report fridge-1 --from 2026-11-01 --to 2026-11-08 --pdf fridge-1.pdf --csv fridge-1.csv
    """
    from rich.console import Console

    from . import report_csv, report_pdf
    from .database import Database
    from .objects import ObjectStore
    from .report import Asked, gather

    if pdf is None and table is None:
        raise click.UsageError("Say where to: --pdf FILE, --csv FILE, or both.")
    settings = Settings.read(os.environ)
    now = time.time_ns() // 1_000_000
    asked = Asked(device, since, until or now, by or getpass.getuser(), now, sensor)
    database = Database(settings.database, settings.database_password)
    try:
        database.check_revision()
        with Console(stderr=True).status(f"Reading {device}"), database.read() as connection:
            found = gather(connection, ObjectStore(settings), asked)
            for file, render in ((pdf, report_pdf.render), (table, report_csv.render)):
                if file is not None:
                    file.write_bytes(render(found))
    finally:
        database.close()
    for file in (pdf, table):
        if file is not None:
            click.echo(str(file))
