"""python -m tools upload: a file to S3, in parts, resumable, checked."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from .s3.connection import connect, connection_options


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("place", metavar="s3://BUCKET/KEY")
@click.option("--force", is_flag=True, help="Replace the object if there is one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@connection_options
def upload(file: Path, place: str, force: bool, as_json: bool, **connection: Any) -> None:
    """Upload FILE to S3. A key that ends with / gets the file's name.

    Large files go in parts of 8 MiB or more; interrupted, the same command goes on where it was. The file's SHA-256 is
    kept in the object's metadata, where `download` looks for it. What is there already is not replaced without --force.

    \b
    python -m tools upload thesis.csv s3://my-bucket/data/
    python -m tools upload thesis.csv s3://thermograph/backup.csv --state-dir var
    """
    from backend.run.layout import ROOT

    from .s3.place import Place
    from .s3.progress import transfer
    from .s3.upload import Upload, digest_of

    target = Place.parse(place, file.name)
    client = connect(**connection)
    with transfer("hashing", file.stat().st_size, as_json) as advance:
        sha256 = digest_of(file, advance)
    notes = ROOT / "var" / "uploads"
    with transfer("uploading", file.stat().st_size, as_json) as advance:
        done = Upload(client, file, target, sha256, notes, force).run(advance)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
        return
    again = f", {done.resumed:,} of them there already" if done.resumed else ""
    click.echo(
        f"{done.place}: {done.size:,} bytes in {done.parts} part{'s'[: done.parts != 1]}{again}, SHA-256 {sha256}"
    )
