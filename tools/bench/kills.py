"""python -m tools bench kills: ingest, archiver and restore killed with -9 at every failpoint, and what that cost."""

import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import click

BROKEN = 5  # lives that break the promise end the run


@click.command()
@click.option("--kills", "wanted", default=2_000, show_default=True, help="Kills to make, at least.")
@click.option("--seed", type=int, default=None, help="The first life's seed; a new one each time without it.")
@click.option("--jobs", default=3 * (os.cpu_count() or 1), show_default=True, help="Lives at once: they mostly wait.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--replay", metavar="LIFE", help="Live this one life again, which a run has named: sqlite.17")
def kills(wanted: int, seed: int | None, jobs: int, as_json: bool, replay: str | None) -> None:
    """Kill ingest, archiver and restore at every failpoint, and prove that no reading is lost or doubled.

    In each life devices send to a real broker, a database (SQLite, PostgreSQL) and S3. A kill -9 strikes at the Nth
    pass of a point; the process starts again, and the set sampled has to become the set in S3; the ledger has to add
    up, and `tools verify` to agree. A seed plans a life's kills and what is sampled; when things happen is up to the
    machine.
    """
    seed = int(time.time()) % 1_000_000 * 1000 if seed is None else seed
    started = time.monotonic()
    if replay:
        lives = [_named(replay)]
    else:
        from tests.end_to_end.kills import DATABASES

        lives = [(number, kind) for number in range(seed, seed + wanted) for kind in DATABASES]
    done, count, broken = run(lives, wanted, jobs, quiet=as_json)
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(summary(done, count, broken, seed, seconds)))
    else:
        show(done, count, broken, seed, seconds)
    if broken:
        raise SystemExit(1)


Kills = Counter[tuple[str, str]]


def run(lives: list[tuple[int, str]], wanted: int, jobs: int, quiet: bool) -> tuple[Kills, int, dict[str, str]]:
    """(kills made by failpoint and database, lives, {name of a life: what broke in it}).

    Raises SettingsError when a server is not installed.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tests.end_to_end.kills import Servers

    done: Kills = Counter()
    broken: dict[str, str] = {}
    count = 0
    columns = TextColumn("kill -9"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with (
        tempfile.TemporaryDirectory(prefix="thermograph-kills-", ignore_cleanup_errors=True) as folder,
        Servers(Path(folder)) as servers,
        Progress(*columns, disable=quiet) as progress,
    ):
        bar = progress.add_task("kills", total=wanted)
        for life, what in _live_all(servers, lives, jobs, lambda: done.total() >= wanted or len(broken) >= BROKEN):
            done.update({(point, life.kind): n for point, n in life.kills.items()})
            count += 1
            if what:
                broken[life.name] = what
            progress.update(bar, completed=min(done.total(), wanted))
    return done, count, broken


def _live_all(servers: Any, lives: list[tuple[int, str]], jobs: int, enough: Any) -> Iterator[tuple[Any, str]]:
    """(life, what broke in it or nothing), as they end; none is begun when there are enough."""
    from tests.end_to_end.judge import Broken
    from tests.end_to_end.kills import Life

    stop = threading.Event()

    def one(place: tuple[int, str]) -> tuple[Any, str]:
        life = Life(servers, *place)
        if stop.is_set():
            return None, ""
        try:
            life.run()
        except Broken as error:
            return life, str(error)
        return life, ""

    with ThreadPool(jobs) as pool:
        for life, what in pool.imap_unordered(one, lives):
            if life is not None:
                yield life, what
            if enough():
                stop.set()


def _named(life: str) -> tuple[int, str]:
    from tests.end_to_end.kills import DATABASES

    kind, _, number = life.partition(".")
    if kind not in DATABASES or not number.isdecimal():
        raise click.BadParameter(f"{life} is no life: {' or '.join(DATABASES)}, a dot, a seed.", param_hint="--replay")
    return int(number), kind


def summary(done: Kills, lives: int, broken: dict[str, str], seed: int, seconds: float) -> dict[str, object]:
    points: dict[str, dict[str, int]] = {}
    for (point, kind), number in sorted(done.items()):
        points.setdefault(point, {})[kind] = number
    return {
        "kills": done.total(),
        "lives": lives,
        "seed": seed,
        "seconds": round(seconds, 1),
        "points": points,
        "broken": broken,
    }


def show(done: Kills, lives: int, broken: dict[str, str], seed: int, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from tests.end_to_end.kills import DATABASES, STRUCK

    table = Table(title="kill -9 at", title_justify="left")
    table.add_column("failpoint")
    for kind in DATABASES:
        table.add_column(kind, justify="right")
    for point in STRUCK:
        table.add_row(point, *(str(done[point, kind]) for kind in DATABASES))
    table.add_row(
        "all", *(str(sum(n for (_, of), n in done.items() if of == kind)) for kind in DATABASES), style="bold"
    )
    Console().print(table)
    print(f"{done.total():,} kills in {lives} lives from seed {seed}, {seconds:.0f} s")
    if not broken:
        print("what was sampled is in S3, each reading once; ledger, gaps and rollups add up; tools verify agrees")
    for name, what in broken.items():
        print(f"BROKEN {what[:4000]}\n  python -m tools bench kills --replay {name}")
