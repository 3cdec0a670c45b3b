"""python -m tools verify: does the archive on S3 hold exactly what the database says it does?"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backend.verify import Finding, Verification

SHOWN = 50


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Verify the archive of `make run` whose state folder this is; it must be running.",
)
def verify(as_json: bool, state_dir: Path | None) -> None:
    """Read every archive object back from S3 and compare it, row by row, with the database.

    Names each object that is missing, altered or unknown, and each reading that differs. Exit code 0: they agree;
    3: they do not; others: it could not be found out, and why.

    \b
    The archive of `make run`:     python -m tools verify --state-dir var
    That of a server:              python -m tools verify
    with the same THERMOGRAPH_... and AWS_... variables as its services have.
    """
    from backend.run.environment import load

    if state_dir is not None:
        # boto3 looks for its credentials in the environment and nowhere else that we could hand them.
        os.environ.update(load(state_dir))
    findings, done = compare(os.environ, quiet=as_json)
    if as_json:
        report = {
            **dataclasses.asdict(done),
            "digest": f"{done.digest:064x}",
            "findings": [dataclasses.asdict(finding) for finding in findings],
        }
        click.echo(json.dumps(report))
    else:
        _print(findings, done)
    raise SystemExit(3 if findings else 0)


def compare(environ: Mapping[str, str], quiet: bool) -> tuple[list["Finding"], "Verification"]:
    """Every finding, and what was compared. Raises ThermographError when the database or S3 cannot be asked."""
    from rich.console import Console
    from rich.progress import Progress

    from backend.database import Database
    from backend.objects import ObjectStore
    from backend.settings import Settings
    from backend.verify import Verification, batches_to_check, verify

    settings = Settings.read(environ)
    database = Database(settings.database, settings.database_password)
    database.check_revision()
    store = ObjectStore(settings)
    done = Verification()
    findings = []
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("reading objects back", total=batches_to_check(database))
        for finding in verify(database, store, done):
            if finding is None:
                progress.advance(bar)
            else:
                findings.append(finding)
    return findings, done


def _print(findings: list["Finding"], done: "Verification") -> None:
    for finding in findings[:SHOWN]:
        click.echo(f"{finding.kind}: {finding.text}")
    if len(findings) > SHOWN:
        click.echo(f"... and {len(findings) - SHOWN} more; --json names all of them")
    click.echo(f"{done.objects} objects, {done.readings:,} readings equal in S3 and SQL, digest {done.digest:064x}")
    if done.waiting:
        click.echo(f"{done.waiting} frozen batches wait for their upload")
    click.echo(f"{len(findings)} disagreements" if findings else "The archive and the database agree.")
