"""python -m tools bench kills: ingest, archiver and restore killed with -9 at every failpoint, and what that cost."""

import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import click

from .ending import terminable

BROKEN = 5  # lives that break the promise end the run


@dataclass
class Result:
    """made, proven: kills by (failpoint, database), and those of them after which all was equal.

    broken: name of a life → what broke in it. interrupted: lives that had not ended are not counted.
    seconds, cpu: of wall clock, and of this process and all it started.
    """

    seed: int
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    proven: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)
    lives: int = 0
    interrupted: bool = False
    seconds: float = 0.0
    cpu: float = 0.0

    def add(self, life: Any, what: str) -> None:
        """A life that has ended; what: broke in it, or nothing."""
        self.lives += 1
        self.made.update({(point, life.kind): number for point, number in life.kills.items()})
        self.proven.update({(point, life.kind): number for point, number in life.proven.items()})
        if what:
            self.broken[life.name] = what


@click.command()
@click.option("--kills", "wanted", default=2_000, show_default=True, help="Kills to make, at least.")
@click.option("--seed", type=int, default=None, help="The first life's seed; a new one each time without it.")
@click.option("--jobs", default=4 * (os.cpu_count() or 1), show_default=True, help="Lives at once: they mostly wait.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--replay", metavar="LIFE", help="Live this one life again, which a run has named: sqlite.17")
def kills(wanted: int, seed: int | None, jobs: int, as_json: bool, replay: str | None) -> None:
    """Kill ingest, archiver, compaction and restore at every failpoint: is any reading lost or doubled?

    In each life devices send to a real broker, a database (SQLite, PostgreSQL) and S3. A kill -9 strikes at the Nth
    pass of a point; the process starts again, and the set sampled has to become the set in S3; the ledger has to add
    up, and verify to agree. A seed plans a life's kills and what is sampled; when things happen is up to the
    machine. SIGTERM and Ctrl-C end it with all its servers.
    """
    from tests.end_to_end.stage import DATABASES

    seed = int(time.time()) % 1_000_000 * 1000 if seed is None else seed
    if replay:
        lives = [_named(replay)]
    else:
        lives = [(number, kind) for number in range(seed, seed + wanted) for kind in DATABASES]
    if not as_json:
        click.echo(f"seed {lives[0][0]}")
    with terminable():
        result = run(lives, wanted, jobs, quiet=as_json)
    if as_json:
        print(json.dumps(summary(result)))
    else:
        show(result)
    if result.broken or result.interrupted:
        raise SystemExit(1 if result.broken else 130)


def run(lives: list[tuple[int, str]], wanted: int, jobs: int, quiet: bool) -> Result:
    """Until as many kills are made as wanted, no life is left, or Ctrl-C. Raises SettingsError: a server is missing."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tests.end_to_end.stage import Servers

    result = Result(lives[0][0])
    started, cpu = time.monotonic(), os.times()
    columns = TextColumn("kill -9"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with tempfile.TemporaryDirectory(prefix="thermograph-kills-", ignore_cleanup_errors=True) as folder:
        with Servers(Path(folder)) as servers, Progress(*columns, disable=quiet, refresh_per_second=2) as progress:
            bar = progress.add_task("kills", total=wanted)

            def struck(_what: str) -> None:
                progress.advance(bar)

            enough = lambda: result.made.total() >= wanted or len(result.broken) >= BROKEN  # noqa: E731
            try:
                for life, what in _live_all(servers, lives, jobs, struck, enough):
                    result.add(life, what)
            except KeyboardInterrupt:
                result.interrupted = True
        result.seconds = time.monotonic() - started
        # All servers were waited for: what they used is here.
        result.cpu = sum(os.times()[:4]) - sum(cpu[:4])
    return result


def _live_all(
    servers: Any, lives: list[tuple[int, str]], jobs: int, struck: Callable[[str], None], enough: Callable[[], bool]
) -> Iterator[tuple[Any, str]]:
    """(life, what broke in it or nothing), as they end; none is begun when there are enough."""
    from tests.end_to_end.judge import Broken
    from tests.end_to_end.kills import Life

    stop = threading.Event()

    def one(place: tuple[int, str]) -> tuple[Any, str]:
        if stop.is_set():
            return None, ""
        life = Life(servers, *place)
        try:
            life.run(struck)
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
    from tests.end_to_end.stage import DATABASES

    kind, _, number = life.partition(".")
    if kind not in DATABASES or not number.isdecimal():
        raise click.BadParameter(f"{life} is no life: {' or '.join(DATABASES)}, a dot, a seed.", param_hint="--replay")
    return int(number), kind


def summary(result: Result) -> dict[str, object]:
    points: dict[str, dict[str, dict[str, int]]] = {}
    for (point, kind), number in sorted(result.made.items()):
        points.setdefault(point, {})[kind] = {"kills": number, "all_equal": result.proven[point, kind]}
    return {
        "kills": result.made.total(),
        "all_equal": result.proven.total(),
        "lives": result.lives,
        "seed": result.seed,
        "seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu, 1),
        "points": points,
        "interrupted": result.interrupted,
        "broken": result.broken,
    }


def show(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    from backend.failpoints import POINTS
    from tests.end_to_end.stage import DATABASES

    table = Table("process", "failpoint", title="kill -9 at", title_justify="left")
    for kind in DATABASES:
        table.add_column(kind, justify="right")
        table.add_column("all equal", justify="right")
    for point in POINTS:
        figures = (str(counts[point, kind]) for kind in DATABASES for counts in (result.made, result.proven))
        table.add_row(point.split(".")[0], point, *figures)
    sums = (_of(counts, kind) for kind in DATABASES for counts in (result.made, result.proven))
    table.add_row("all", "", *map(str, sums), style="bold")
    Console().print(table)
    print(
        f"{result.made.total():,} kills in {result.lives} lives from seed {result.seed}, {result.seconds:.0f} s,",
        end=" ",
    )
    print(f"{result.cpu:.0f} s of CPU")
    if result.interrupted:
        print("interrupted: lives that had not ended are not counted")
    if not result.broken:
        print("what was sampled is in S3, each reading once; ledger, gaps and rollups add up; verify agrees")
    for name, what in result.broken.items():
        print(f"BROKEN {what[:4000]}\n  python -m tools bench kills --replay {name}")


def _of(counts: Counter[tuple[str, str]], kind: str) -> int:
    return sum(number for (_, of), number in counts.items() if of == kind)
