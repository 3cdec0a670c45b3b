"""python -m tools bench crash: the power goes at every step of the Outbox's flash, in every way."""

import json
import multiprocessing
import os
import sys
import time
from collections import Counter

import click

from .firmware import load

STEPS = 200  # of flash in one life; some 1,900 cuts
BROKEN = 10  # lives that break the promise end the run
Cuts = Counter[tuple[str, str, int]]


@click.command()
@click.option("--cuts", default=250_000, show_default=True, help="Cuts to make, at least.")
@click.option("--seed", type=int, default=None, help="The first life's seed; a new one each time without it.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--replay", metavar="CUT", help="Make this one cut again, which a run has named.")
def crash(cuts: int, seed: int | None, jobs: int, as_json: bool, replay: str | None) -> None:
    """Cut the power of the Outbox's flash at every step, and prove that no reading is lost or doubled.

    Each step (program or erase) of many lives is cut off before, half-way, bit-mixed, after, and with cells that read
    differently each time; the log is mounted, verified, lived on with; and half of these mendings are cut off again.
    """
    if replay:
        raise SystemExit(again(replay))
    seed = int(time.time()) % 1_000_000 * 1000 if seed is None else seed
    started = time.monotonic()
    done, lives, broken = run(cuts, seed, jobs, quiet=as_json)
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(summary(done, lives, broken, seed, seconds)))
    else:
        show(done, lives, broken, seed, seconds)
    if broken:
        raise SystemExit(1)


def run(cuts: int, seed: int, jobs: int, quiet: bool) -> tuple[Cuts, int, dict[str, str]]:
    """(cuts made, lives, {name of a cut: what it broke})."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    done: Cuts = Counter()
    broken: dict[str, str] = {}
    lives = 0
    columns = TextColumn("power cuts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # Spawned, not forked: each process imports the firmware afresh, and Windows has nothing else.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool, Progress(*columns, disable=quiet) as progress:
        bar = progress.add_task("cuts", total=cuts)
        for counts, name, what in pool.imap_unordered(live, range(seed, seed + cuts)):
            done.update(counts)
            lives += 1
            if what:
                broken[name] = what
            progress.update(bar, completed=min(done.total(), cuts))
            if done.total() >= cuts or len(broken) >= BROKEN:
                break
        pool.terminate()
    return done, lives, broken


def live(seed: int) -> tuple[Cuts, str, str]:
    """(cuts made, the last one's name, what it broke or nothing)."""
    life = load("crash").Life(seed)
    what = ""
    try:
        life.run(STEPS)
    except Exception as error:  # whatever it is, the Outbox should not have raised it
        what = f"{type(error).__name__}: {error}"
    return Counter(life.counts), life.name, what


def again(name: str) -> int:
    """The exit code."""
    module = load("crash")
    try:
        life = module.Life(int(name.split(".")[0]), only=name)
    except ValueError:
        raise click.BadParameter(f"{name} is no cut: LIFE.STEP.MODE[.STEP.MODE...]", param_hint="--replay") from None
    print(f"life {life.seed}: {life.nor.size // 4096} sectors of {life.records} readings")
    try:
        life.run(STEPS)
    except Exception as error:
        print(f"cut {life.name} breaks the promise:")
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    for (kind, mode, depth), _ in sorted(life.counts.items(), key=lambda item: item[0][2]):
        print(f"cut {'in the mending ' * bool(depth)}{mode} {'an' if kind == 'erase' else 'a program of a'} {kind}")
    print("nothing lost, nothing doubled" if life.counts else f"there is no cut {name}")
    return 0 if life.counts else 2


def summary(done: Cuts, lives: int, broken: dict[str, str], seed: int, seconds: float) -> dict[str, object]:
    kinds: Counter[str] = Counter()
    for (kind, mode, _), count in done.items():
        kinds[f"{kind} {mode}"] += count
    nested = sum(count for (_, _, depth), count in done.items() if depth)
    return {
        "cuts": done.total(), "nested": nested, "lives": lives, "seed": seed, "seconds": round(seconds, 1),
        "kinds": dict(sorted(kinds.items())), "broken": broken,
    }  # fmt: skip


def show(done: Cuts, lives: int, broken: dict[str, str], seed: int, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    module = load("crash")
    table = Table(title="power cuts", title_justify="left", caption="nested: cuts of a mending, included")
    table.add_column("cut off")
    for mode in (*module.MODES, "all", "nested"):
        table.add_column(mode, justify="right")
    for kind in (*module.KINDS, "all"):
        row: Counter[str] = Counter()
        for (is_kind, mode, depth), count in done.items():
            if kind in (is_kind, "all"):
                row.update({mode: count, "all": count, "nested": count if depth else 0})
        cells = [f"{row[mode]:,}" for mode in (*module.MODES, "all", "nested")]
        table.add_row(kind, *cells, style="bold" if kind == "all" else "")
    Console().print(table)
    print(f"{done.total():,} distinct cuts in {lives} lives from seed {seed}, {seconds:.0f} s")
    if not broken:
        print("no reading lost, none doubled, no seq used twice, the log always mounted")
    for name, what in broken.items():
        print(f"BROKEN by cut {name}: {what[:200]}\n  python -m tools bench crash --replay {name}")
