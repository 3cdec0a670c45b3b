"""python -m tools bench fuzz: bytes that nobody meant, for everything that the device parses."""

import json
import multiprocessing
import os
import sys
import time
from collections import Counter

import click

from backend.errors import Unavailable

from .firmware import load

CHUNK = 50_000  # inputs of one life of the parsers
WEIGHED = 8_000  # the last of them
GROWTH = 16_384  # bytes that they may add: the newest settings, the ids of 16 commands, and the like


@click.command()
@click.option("--inputs", default=1_000_000, show_default=True, help="Inputs to try, at least.")
@click.option("--seed", type=int, default=None, help="A new one each time without it.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--replay", metavar="SEED.NUMBER", help="Try this one input again, which a run has named.")
def fuzz(inputs: int, seed: int | None, jobs: int, as_json: bool, replay: str | None) -> None:
    """Feed changed packets, acks, settings, commands, forms, names, times and flash to the device's parsers.

    No exception may leave its handler, and nothing may grow.
    """
    if replay:
        raise SystemExit(again(replay))
    seed = int(time.time()) % 1_000_000 if seed is None else seed
    started = time.monotonic()
    inputs_of, taken_of, grown, broken = run(inputs, seed, jobs, quiet=as_json)
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        parsers = {name: {"inputs": count, "taken": taken_of[name]} for name, count in inputs_of.items()}
        total = {"inputs": inputs_of.total(), "seed": seed, "seconds": seconds, "grown": grown}
        print(json.dumps({**total, "parsers": parsers, "broken": broken}))
    else:
        show(inputs_of, taken_of)
        print(f"{inputs_of.total():,} inputs of seed {seed}, {seconds} s")
        if not broken:
            print(f"no exception left its handler; {WEIGHED:,} inputs added at most {grown:,} bytes")
        for name, what in broken.items():
            print(f"BROKEN by input {name}: {what}\n  python -m tools bench fuzz --replay {name}")
    if broken:
        raise SystemExit(1)


def run(inputs: int, seed: int, jobs: int, quiet: bool) -> tuple[Counter[str], Counter[str], int, dict[str, str]]:
    """(inputs of each parser, those taken, bytes grown at most, {name of an input: what it broke})."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    inputs_of: Counter[str] = Counter()
    taken_of: Counter[str] = Counter()
    broken: dict[str, str] = {}
    most = 0
    chunks = [(seed, first) for first in range(0, inputs, CHUNK)]
    columns = TextColumn("inputs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool, Progress(*columns, disable=quiet) as progress:
        bar = progress.add_task("inputs", total=len(chunks) * CHUNK)
        for tried, grown, name, what in pool.imap_unordered(one_chunk, chunks):
            inputs_of.update({name: counts[0] for name, counts in tried.items()})
            taken_of.update({name: counts[1] for name, counts in tried.items()})
            most = max(most, grown)
            if what:
                broken[name] = what
            progress.advance(bar, CHUNK)
    return inputs_of, taken_of, most, broken


def one_chunk(task: tuple[int, int]) -> tuple[dict[str, list[int]], int, str, str]:
    """(inputs and those taken of each parser, bytes grown, name of the input that broke something, what)."""
    seed, first = task
    engine = load("fuzz")
    try:
        tried, grown = engine.run_and_weigh(parsers(), seed, first, CHUNK, WEIGHED)
    except engine.Escaped as escaped:
        parser, number, data, error = escaped.args
        return {}, 0, f"{seed}.{number}", f"{parser}: {type(error).__name__}: {error}, by {data[:60]!r}"
    what = f"the last {WEIGHED} of {CHUNK} inputs from there on added {grown} bytes" if grown > GROWTH else ""
    return tried, grown, f"{seed}.{first}", what


def parsers() -> list[object]:
    from backend.run import umqtt

    found = umqtt.find(os.environ)
    if found is None:
        raise Unavailable("umqtt.simple is not here.", "Get it: python -m tools setup")
    load("thermograph.boards.cpython").install()
    if str(found) not in sys.path:
        sys.path.append(str(found))
    made: list[object] = load("fuzz_parsers").parsers()
    return made


def again(name: str) -> int:
    """The exit code."""
    engine = load("fuzz")
    try:
        seed, number = (int(word) for word in name.split("."))
    except ValueError:
        raise click.BadParameter(f"{name} is no input: SEED.NUMBER", param_hint="--replay") from None
    parser, data = engine.make(parsers(), seed, number)
    print(f"{parser.name}: {len(data)} bytes: {data!r}")
    try:
        print("taken" if engine.try_one(parser, number, data) else "refused")
    except engine.Escaped as escaped:
        error = escaped.args[3]
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def show(inputs_of: Counter[str], taken_of: Counter[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="what the device parses", title_justify="left")
    table.add_column("parser")
    for column in ("inputs", "taken", "refused"):
        table.add_column(column, justify="right")
    for name, count in inputs_of.items():
        table.add_row(name, f"{count:,}", f"{taken_of[name]:,}", f"{count - taken_of[name]:,}")
    Console().print(table)
