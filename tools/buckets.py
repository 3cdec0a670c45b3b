"""python -m tools buckets: which buckets there are."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from .s3.connection import connect, connection_options

if TYPE_CHECKING:
    from .s3.survey import Bucket


@click.command()
@click.option("--count/--no-count", default=True, help="Count objects and bytes: one request for each 1,000 objects.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
@connection_options
def buckets(count: bool, as_json: bool, **connection: Any) -> None:
    """List the buckets: region, objects, size, and whether the public can read them.

    \b
    python -m tools buckets
    python -m tools buckets --profile lab --no-count
    python -m tools buckets --state-dir var
    """
    from rich.console import Console

    from .s3.survey import survey

    with Console(stderr=True).status("asking S3") as status:

        def seen(name: str, objects: int) -> None:
            status.update(f"counting {name}: {objects:,} objects")

        found = list(survey(connect(**connection), count, seen))
    if as_json:
        for bucket in found:
            click.echo(json.dumps(dataclasses.asdict(bucket)))
    elif found:
        _table(found)
    else:
        click.echo("There are no buckets. Create one: aws s3 mb s3://NAME, or by the template in backend/deploy.")


def _table(found: list["Bucket"]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("Bucket", overflow="fold")  # a name cut short is no name
    table.add_column("Region")
    table.add_column("Created")
    table.add_column("Objects", justify="right")
    table.add_column("Size", justify="right")
    table.add_column("Public")
    for one in found:
        objects = "" if one.objects is None else f"{one.objects:,}"
        size = "" if one.size is None else decimal(one.size)
        public = f"[bold red]{one.public}[/]" if one.public == "yes" else one.public
        table.add_row(one.name, one.region, one.created, objects, size, public)
    Console().print(table)
