"""python -m tools verify: does the archive on S3 hold exactly what the database says it does?"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from backend.parquet import DayDigest
    from backend.verify import Finding, Verification

SHOWN = 50


@dataclass(frozen=True)
class Comparison:
    findings: list["Finding"]
    digests: list["DayDigest"]
    done: "Verification"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option("--digests", is_flag=True, help="Show the digest of each device and day too, to compare two databases.")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Verify the archive of `make run` whose state folder this is; it must be running.",
)
def verify(as_json: bool, digests: bool, state_dir: Path | None) -> None:
    """Read every archive object back from S3 and compare it, row by row, with the database.

    Names each object that is missing, altered or unknown, each reading and gap that differs. Readings that have left
    SQL are compared by their object's SHA-256, which SQL keeps. Two databases with the same readings in S3 have the
    same digest. Exit code 0: they agree; 3: they do not; others: it could not be found out, and why.

    \b
    The archive of `make run`:     python -m tools verify --state-dir var
    That of a server:              python -m tools verify
    with the same THERMOGRAPH_... and AWS_... variables as its services have.
    """
    from backend.run.environment import load

    if state_dir is not None:
        # boto3 looks for its credentials in the environment and nowhere else that we could hand them.
        os.environ.update(load(state_dir))
    found = compare(os.environ, quiet=as_json, digests=digests)
    if as_json:
        click.echo(json.dumps(report(found)))
    else:
        tell(found)
    raise SystemExit(3 if found.findings else 0)


def compare(environ: Mapping[str, str], quiet: bool, digests: bool = False) -> Comparison:
    """Every finding, and what was compared. Raises ThermographError when the database or S3 cannot be asked."""
    from rich.console import Console
    from rich.progress import Progress

    from backend.database import Database
    from backend.objects import ObjectStore
    from backend.settings import Settings
    from backend.verify import Finding, Verification, batches_to_check, verify

    settings = Settings.read(environ)
    database = Database(settings.database, settings.database_password)
    found = Comparison([], [], Verification())
    try:
        database.check_revision()
        store = ObjectStore(settings)
        with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
            bar = progress.add_task("reading objects back", total=batches_to_check(database))
            for news in verify(database, store, found.done):
                if news is None:
                    progress.advance(bar)
                elif isinstance(news, Finding):
                    found.findings.append(news)
                elif digests:
                    found.digests.append(news)
    finally:
        database.close()
    return found


def report(found: Comparison) -> dict[str, Any]:
    """As JSON: digests in hexadecimal."""
    done = found.done
    told: dict[str, Any] = {
        "objects": done.objects,
        "readings": done.readings,
        "dropped": done.dropped,
        "gaps": done.gaps,
        "waiting": done.waiting,
        "digest": f"{done.digest:064x}",
        "findings": [dataclasses.asdict(finding) for finding in found.findings],
    }
    if found.digests:
        told["digests"] = [{**dataclasses.asdict(each), "digest": f"{each.digest:064x}"} for each in found.digests]
    return told


def tell(found: Comparison) -> None:
    """As text."""
    done = found.done
    for each in found.digests:
        click.echo(f"{each.day} {each.device}: {each.readings:,} readings, digest {each.digest:064x}")
    for finding in found.findings[:SHOWN]:
        click.echo(f"{finding.kind}: {finding.text}")
    if len(found.findings) > SHOWN:
        click.echo(f"... and {len(found.findings) - SHOWN} more; --json names all of them")
    click.echo(f"{done.objects} objects, {done.readings:,} readings equal in S3 and SQL, digest {done.digest:064x}")
    if done.dropped:
        click.echo(
            f"{done.dropped:,} of them are older than the hot window: S3 alone holds them, as SQL's SHA-256 says"
        )
    if done.waiting:
        click.echo(f"{done.waiting} frozen batches wait for their upload")
    disagreements = f"{len(found.findings)} disagreements"
    click.echo(disagreements if found.findings else "The archive and the database agree.")
