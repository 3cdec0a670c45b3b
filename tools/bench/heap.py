"""python -m tools bench heap: what the firmware's heap holds on a board, measured on a 32-bit MicroPython."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from .firmware import load


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--firmware", type=click.Path(path_type=Path, exists=True), help="Another firmware folder.")
@click.option("--hours", default=24, show_default=True, help="How long the simulated day is; 0 leaves it out.")
def heap(as_json: bool, firmware: Path | None, hours: int) -> None:
    """What each module costs, and what the heap holds from the first acknowledged reading to the end of a day.

    \b
    live      after the first acknowledged reading with TLS, two DS18B20 and a BME280: at most 73,728 bytes
    highest   while sending a backlog, taking settings and commands, setting the clock, over a day: at most 90,112
    portal    highest while the set-up portal is open beside all that: at most 92,160
    wokwi_    live and highest of `tools wokwi --project` as it is: Outbox in files, no TLS

    Bytes of gc.mem_alloc() after gc.collect(), less what an empty interpreter and the fakes below the pins hold.
    Sampled at each step of the loop and after each message. Exit code 1 if something is over its limit.
    """
    from backend.run import umqtt
    from backend.run.layout import ROOT

    source = firmware or Path(os.environ.get("THERMOGRAPH_FIRMWARE") or ROOT / "firmware")
    os.environ["THERMOGRAPH_FIRMWARE"] = str(source)
    client = umqtt.find(os.environ)
    if client is None:
        raise click.ClickException("no umqtt: python -m tools setup --for test")
    bench = load("heap_bench")
    try:
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            seen = bench.measure(Path(first) / "own", source, client, hours)
            seen |= bench.measure_project(Path(first) / "project", source, client)
            seen["modules"] = dict(bench.table(Path(second), source, client))
    except bench.Missing as error:
        raise click.ClickException(str(error)) from None
    del seen["lines"], seen["wokwi_lines"]
    over = bench.over(seen)
    if as_json:
        print(json.dumps(seen))
    else:
        show(seen, bench.FIGURES, bench.LIMITS)
    for line in over:
        print(line, file=sys.stderr)
    sys.exit(1 if over else 0)


def show(seen: dict[str, Any], figures: dict[str, tuple[str, str]], limits: dict[str, int]) -> None:
    """As tables for people. A module that stays loaded after the first acknowledged reading has a star."""
    print("module                                    bytes")
    for name, cost in seen["modules"].items():
        print(f"{name:38} {cost:8,}{' *' if name in seen['loaded'] else ''}")
    stay = sum(cost for name, cost in seen["modules"].items() if name in seen["loaded"])
    print(f"{'those that stay loaded (*)':38} {stay:8,}\n")
    for phase, held in seen["phases"].items():
        print(f"highest, {phase:29} {held:8,}")
    for phase, held in seen["wokwi_phases"].items():
        print(f"highest, {phase + ', wokwi.com':29} {held:8,}")
    print(f"{len(seen['loaded'])} modules stay; {seen['names']} names cost {seen['names_bytes']:,} bytes;", end=" ")
    print(f"{seen['hours']} hours, {seen['readings']:,} readings, {seen['rows_a_message']} a message at most\n")
    for key, (name, limit) in figures.items():
        print(f"{name:38} {seen[key] or 0:8,} of {limits[limit]:,}")
