"""python -m tools bench wear: how long the Outbox's flash lasts."""

import json

import click

from .firmware import load

RATED = 100_000  # erases of a sector, as makers of NOR flash state them


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def wear(as_json: bool) -> None:
    """Erases per sector and year at one reading a minute and channel, counted while the real Outbox fills 1 MiB."""
    counted = {channels: load("wear").erases_per_year(channels) for channels in (1, 2, 4, 8, 16, 32)}
    if as_json:
        print(json.dumps({str(channels): round(erases, 1) for channels, erases in counted.items()}))
        return
    print("channels   erases per sector and year   years to 100,000")
    for channels, erases in counted.items():
        print(f"{channels:8} {erases:28.1f} {RATED / erases:18,.0f}")
