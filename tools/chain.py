"""python -m tools chain: is the archive on S3 what its chain of manifests says? Asked of S3 alone."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backend.chain import Broken, Proof

SHOWN = 50


@click.command()
@click.option("--expect", metavar="SHA256", default="", help="A head that was noted before: it must be in the chain.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Prove the archive of `make run` whose state folder this is; it must be running.",
)
def chain(expect: str, as_json: bool, state_dir: Path | None) -> None:
    """Read every object of the archive and compare it with the chain of daily manifests; no database is asked.

    Names each object that was altered, removed or added since its day was sealed, and each manifest that is not what
    it was. The digest is that of `python -m tools verify`, over the days that are sealed. Who may write to the bucket
    could make the whole chain anew: note the head somewhere else, and give it by --expect later. Exit code 0: all is
    as it was; 3: it is not.

    \b
    The archive of `make run`:     python -m tools chain --state-dir var
    Any other:                     python -m tools chain
    with the same THERMOGRAPH_S3_... and AWS_... variables as the archiver has.
    """
    from backend.run.environment import load

    if state_dir is not None:
        # boto3 looks for its credentials in the environment and nowhere else that we could hand them.
        os.environ.update(load(state_dir))
    broken, done = prove(os.environ, expect.lower(), quiet=as_json)
    if as_json:
        findings = [dataclasses.asdict(each) for each in broken]
        click.echo(json.dumps({**dataclasses.asdict(done), "digest": f"{done.digest:064x}", "findings": findings}))
    else:
        tell(broken, done)
    raise SystemExit(3 if broken else 0)


def prove(environ: Mapping[str, str], expected: str, quiet: bool) -> tuple[list["Broken"], "Proof"]:
    """Everything that is broken, and what was compared. Raises ThermographError when S3 cannot be asked."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress

    from backend import chain
    from backend.objects import ObjectStore
    from backend.settings import Settings

    store = ObjectStore(Settings.read(environ))
    found: list[chain.Broken] = []
    done = chain.Proof()
    total = sum(entry.size for entry in store.list(chain.DAYS))
    columns = (*Progress.get_default_columns(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("reading objects back", total=total)
        for news in chain.prove(store, expected, done):
            if isinstance(news, int):
                progress.advance(bar, news)
            else:
                found.append(news)
    return found, done


def tell(broken: list["Broken"], done: "Proof") -> None:
    """As text."""
    for each in broken[:SHOWN]:
        click.echo(f"{each.kind}: {each.text}")
    if len(broken) > SHOWN:
        click.echo(f"... and {len(broken) - SHOWN} more; --json names all of them")
    click.echo(f"{done.manifests} manifests, head {done.head or 'none'}")
    click.echo(f"{done.objects} objects read, {done.readings:,} readings sealed, digest {done.digest:064x}")
    if done.waiting:
        click.echo(f"{done.waiting} objects are of days that are not sealed yet")
    if done.replaced:
        click.echo(f"{done.replaced} objects have been replaced and are not removed yet")
    click.echo(f"{len(broken)} things are not as they were." if broken else "The archive is what its manifests say.")
