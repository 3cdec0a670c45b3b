"""python -m tools download: an object from S3, resumable, checked."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from .s3.connection import connect, connection_options


@click.command()
@click.argument("place", metavar="s3://BUCKET/KEY")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@connection_options
def download(place: str, file: Path | None, force: bool, as_json: bool, **connection: Any) -> None:
    """Download an object to FILE (a folder, or none: under its own name).

    FILE appears whole or not at all; interrupted, the same command goes on where it was. If `upload` or the archive
    left a SHA-256 beside the object, the bytes must have it: else exit code 3.

    \b
    python -m tools download s3://my-bucket/data/thesis.csv
    """
    from .s3.download import Download
    from .s3.place import Place
    from .s3.progress import transfer

    source = Place.parse(place)
    name = source.key.rpartition("/")[2] or "object"
    path = file / name if file is not None and file.is_dir() else file or Path(name)
    job = Download(connect(**connection), source, path, force)
    with transfer("downloading", job.size, as_json) as advance:
        done = job.run(advance)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
        return
    proof = "checked against its uploader's" if done.checked else "the object carries none to check it against"
    click.echo(f"{done.file}: {done.size:,} bytes, SHA-256 {done.sha256} ({proof})")
