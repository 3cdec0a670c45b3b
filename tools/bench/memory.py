"""python -m tools bench memory: how much memory ingest takes while a million messages wait for it."""

import json
import time
from pathlib import Path

import click

from .chart import GREEN, INK, chart_option, pyplot, save
from .load import Load
from .rig import Watched, ingest_command, rig, stored

LOOK = 0.05
MOST = 200_000_000


@click.command()
@click.option("--messages", default=1_000_000, show_default=True, help="Messages that wait in ingest's session.")
@click.option("--version", "version", type=click.Choice(["3.1.1", "5"]), default="5", show_default=True, help="MQTT.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@chart_option
def memory(messages: int, version: str, as_json: bool, chart: Path | None) -> None:
    """Let messages of one reading wait at the broker, and watch ingest's memory while it takes them.

    MQTT 5 lets ingest say how many may be on their way; with 3.1.1 and a broker without a limit only ingest's own
    back-pressure holds them back. Ends with exit code 1 above 200 MB.
    """
    if chart:
        pyplot()  # before minutes of work: it may be missing
    load = Load(messages)
    sizes: list[int] = []
    with rig() as bench:
        url = bench.new_database("sqlite")
        bench.queue(load)
        environment = bench.environment(url, broker_version=version)
        with stored(url, load.total) as done, Watched(ingest_command(), environment) as process:
            process.wait_for(lambda: process.connected)
            before = process.memory()
            # One look of many goes to the database: it would slow down what is watched.
            while True:
                sizes.append(process.memory())
                time.sleep(LOOK)
                if len(sizes) % 10 == 0 and done(""):
                    break
            run = process.run(load.total)
    most = max(sizes)
    if chart:
        draw(sizes, f"{messages:,} messages waiting, MQTT {version}: ingest's memory while it takes them", chart)
    if as_json:
        found = {"messages": messages, "version": version, "start": before, "most": most, "rate": round(run.rate)}
        print(json.dumps({**found, "limit": MOST, "met": most <= MOST}))
    else:
        click.echo(f"{messages:,} messages waiting, MQTT {version}: {run.rate:,.0f} readings/s")
        click.echo(
            f"memory {before / 1e6:.0f} MB at the connection, {most / 1e6:.0f} MB at most, allowed {MOST / 1e6:.0f}"
        )
    if most > MOST:
        raise SystemExit(1)


def draw(sizes: list[int], title: str, path: Path) -> None:
    """sizes: bytes, a look each."""
    plots = pyplot()
    figure, axes = plots.subplots(figsize=(9, 3.5))
    axes.set_title(
        f"{title}\nat most {max(sizes) / 1e6:.0f} MB, {max(sizes) / MOST:.0%} of what is allowed", fontsize=10
    )
    axes.plot([number * LOOK for number in range(len(sizes))], [size / 1e6 for size in sizes], color=GREEN)
    axes.axhline(MOST / 1e6, color=INK, linewidth=1, linestyle="--", label=f"goal: at most {MOST / 1e6:.0f} MB")
    axes.set_xlabel("seconds")
    axes.set_ylabel("MB")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", frameon=False)
    save(figure, path)
