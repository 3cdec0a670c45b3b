"""python -m tools restore: a new database from the archive on S3 alone, and the proof that both agree."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backend.restore import Restored

UNKNOWN = """\
What the archive cannot know, and the new database therefore does not have: readings that had not been archived (a
device that still holds them sends them again), who confirmed a device (all come back as new), calibrations, each
device's health and status, rejected messages. A hole without a cause in the archive is a gap named "not-archived"."""


@click.command(epilog=UNKNOWN)
@click.option("--into", metavar="URL", help="The new database, as THERMOGRAPH_DATABASE names one; it must be empty.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Restore from the archive of `make run` whose state folder this is; it must be running. Needs --into.",
)
@click.option(
    "--prove/--no-prove", default=True, show_default=True, help="Read all back, from S3 and SQL, and compare."
)
def restore(into: str | None, as_json: bool, state_dir: Path | None, prove: bool) -> None:
    """Build a new database from the archive alone, then prove that both agree.

    Nothing may be in the database yet, and nothing may run on it before this has ended. Killed half-way, the same
    command goes on where it was. Exit code 0: they agree; 3: they do not, or an object is not what it was.

    \b
    python -m tools restore --into sqlite:///restored.db
    python -m tools restore --into sqlite:///restored.db --state-dir var
    THERMOGRAPH_DATABASE=postgresql+psycopg://me@db/new python -m tools restore
    """
    from backend.run.environment import load

    from .verify import compare, report, tell

    if state_dir is not None:
        if into is None:
            raise click.UsageError("The database of `make run` is in use: name a new one by --into sqlite:///FILE.")
        # boto3 looks for its credentials in the environment and nowhere else that we could hand them.
        os.environ.update(load(state_dir))
    environ = dict(os.environ)
    if into is not None:
        environ["THERMOGRAPH_DATABASE"] = into
    done = bring_back(environ, quiet=as_json)
    if not as_json:
        click.echo(f"{done.objects} objects read: {done.readings:,} readings and {done.gaps:,} gaps restored")
    if not prove:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(done)))
        return
    found = compare(environ, quiet=as_json)
    if as_json:
        click.echo(json.dumps({"restored": dataclasses.asdict(done), **report(found)}))
    else:
        tell(found)
    raise SystemExit(3 if found.findings else 0)


def bring_back(environ: Mapping[str, str], quiet: bool) -> "Restored":
    """Restore into the database that the settings name. Raises ThermographError."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress

    from backend import failpoints, restore
    from backend.database import Database
    from backend.objects import ObjectStore
    from backend.settings import Settings

    settings = Settings.read(environ)
    failpoints.arm(settings.failpoint)
    store = ObjectStore(settings)
    database = Database(settings.database, settings.database_password)
    try:
        database.migrate()
        restore.begin(database)
        total = sum(entry.size for entry in restore.objects(store))
        done = restore.Restored()
        columns = (*Progress.get_default_columns(), DownloadColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
            bar = progress.add_task("restoring", total=total)
            for size in restore.load(database, store, restore.objects(store), done):
                progress.advance(bar, size)
            progress.update(bar, description="ledger and rollups")
            restore.finish(database)
    finally:
        database.close()
    return done
