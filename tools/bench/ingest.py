"""python -m tools bench ingest: ingest beside mosquitto_sub, stock paho and itself without its accounts."""

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .chart import chart_option, pyplot, save
from .load import Load
from .rig import Rig, Run, drain_command, ingest_command, prepare_for_drain, printed, rig, stored

MANY_DEVICES = 1_000
PACE = 20_000
PACED_SECONDS = 5


@dataclass(frozen=True)
class Contest:
    """One thing that is measured once a round. needs: what must be installed for it."""

    name: str
    about: str
    measure: Callable[[Rig, int], Run]
    needs: str = ""


@dataclass(frozen=True)
class Goal:
    """rates of `name` ÷ rates of `than`, of the same round; the median should be at least this."""

    about: str
    name: str
    than: str
    least: float


@click.command()
@click.option("--readings", default=200_000, show_default=True, help="Readings a measurement.")
@click.option("--rounds", default=5, show_default=True, help="Rounds; the medians count.")
@click.option("--only", metavar="NAME,...", help="Only these measurements (the names in the table).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
@chart_option
def ingest(readings: int, rounds: int, only: str | None, as_json: bool, chart: Path | None) -> None:
    """Measure ingest at a real mosquitto, and compare it in the same run.

    Every measurement drains the same queue of QoS 1 messages from a persistent session, or follows a publisher
    ("live"). A reading counts when its transaction is committed, with fsync. `plain` is the same client and the same
    table without validation, ledger, rollups, newest readings and application acks; `stock` is that by paho's own
    client.

    \b
    python -m tools bench ingest
    python -m tools bench ingest --readings 20000 --rounds 1 --only mosquitto_sub,sqlite
    """
    if chart:
        pyplot()  # before minutes of work: it may be missing
    contests = _chosen(only)
    found = _play(contests, readings, rounds, quiet=as_json)
    goals = [(goal, _ratios(goal, found)) for goal in GOALS if goal.name in found and goal.than in found]
    if as_json:
        print(json.dumps(_summary(found, goals, readings)))
    else:
        _show(found, goals, readings, rounds)
    if chart:
        _draw(found, chart)


def _drained(kind: str, **settings: str) -> Callable[[Rig, int], Run]:
    """Ingest, with all it does, into a database of this kind. readings: a message; devices: that take turns."""
    per, devices = int(settings.pop("readings", "1")), int(settings.pop("devices", "100"))
    tls, live = settings.pop("tls", ""), settings.pop("live", "")

    def measure(bench: Rig, readings: int) -> Run:
        load = Load(readings // per, devices, per)
        url = bench.new_database(kind)
        environment = bench.environment(url, **settings, **(bench.tls() if tls else {}))
        run = bench.live if live else bench.drain
        with stored(url, load.total) as done:
            return run(ingest_command(), environment, load, done)

    return measure


def _plain(kind: str, client: str) -> Callable[[Rig, int], Run]:
    def measure(bench: Rig, readings: int) -> Run:
        # Stock paho is some ten times slower, and its rate the same from the start.
        load = Load(readings if client == "fast" else max(1, readings // 5))
        url = bench.new_database(kind)
        prepare_for_drain(url, load)
        return bench.drain(drain_command(client), bench.environment(url), load, printed(load.total))

    return measure


def _paced(bench: Rig, _readings: int) -> Run:
    load = Load(PACE * PACED_SECONDS)
    url = bench.new_database("sqlite")
    with stored(url, load.total) as done:
        return bench.live(ingest_command(), bench.environment(url), load, done, rate=PACE)


CONTESTS = [
    Contest("mosquitto_sub", "mosquitto_sub -q 1 to /dev/null", lambda bench, n: bench.drain_by_mosquitto_sub(Load(n))),
    Contest("sqlite", "ingest into SQLite", _drained("sqlite")),
    Contest("plain", "the same without accounts", _plain("sqlite", "fast")),
    Contest("stock", "that by stock paho", _plain("sqlite", "stock")),
    Contest("postgresql", "ingest into PostgreSQL", _drained("postgresql"), "postgresql"),
    Contest("plain-postgresql", "the same without accounts", _plain("postgresql", "fast"), "postgresql"),
    Contest(
        "tls-sub", "mosquitto_sub over TLS", lambda bench, n: bench.drain_by_mosquitto_sub(Load(n), tls=True), "tls"
    ),
    Contest("tls", "ingest over TLS", _drained("sqlite", tls="yes"), "tls"),
    Contest("live-sub", "mosquitto_sub, live", lambda bench, n: bench.drain_by_mosquitto_sub(Load(n), live=True)),
    Contest("live", "ingest, live", _drained("sqlite", live="yes")),
    Contest("10-a-message", "ingest, 10 readings a message", _drained("sqlite", readings="10")),
    Contest("60-a-message", "ingest, 60 readings a message", _drained("sqlite", readings="60")),
    Contest("1000-devices", "ingest, 1,000 devices in turn", _drained("sqlite", devices=str(MANY_DEVICES))),
    Contest("mqtt-3.1.1", "ingest by MQTT 3.1.1", _drained("sqlite", broker_version="3.1.1")),
    Contest("paced", f"ingest at {PACE:,} readings/s", _paced),
]
GOALS = [
    Goal("SQLite, durable / mosquitto_sub", "sqlite", "mosquitto_sub", 1.0),
    Goal("the same without accounts / mosquitto_sub", "plain", "mosquitto_sub", 1.0),
    Goal("PostgreSQL / mosquitto_sub", "postgresql", "mosquitto_sub", 0.7),
    Goal("without accounts, PostgreSQL / mosquitto_sub", "plain-postgresql", "mosquitto_sub", 0.7),
    Goal("TLS / mosquitto_sub over TLS", "tls", "tls-sub", 1.0),
    Goal("SQLite / stock paho", "sqlite", "stock", 8.0),
    Goal("without accounts / stock paho", "plain", "stock", 8.0),
    Goal("full path / without accounts", "sqlite", "plain", 0.6),
    Goal("live / mosquitto_sub live", "live", "live-sub", 0.9),
    Goal("10 readings a message / 1", "10-a-message", "sqlite", 1.2),
    Goal("60 readings a message / 1", "60-a-message", "sqlite", 1.2),
]
MOST_CPU = 0.4


def _chosen(only: str | None) -> list[Contest]:
    names = only.split(",") if only else [contest.name for contest in CONTESTS]
    if unknown := set(names) - {contest.name for contest in CONTESTS}:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: it takes {', '.join(contest.name for contest in CONTESTS)}.",
            param_hint="--only",
        )
    return [contest for contest in CONTESTS if contest.name in names]


def _play(contests: list[Contest], readings: int, rounds: int, quiet: bool) -> dict[str, list[Run]]:
    """name → its runs, one a round, in the order of the rounds."""
    found: dict[str, list[Run]] = {}
    with rig() as bench, _progress(len(contests) * rounds, quiet) as advance:
        contests = [contest for contest in contests if _can(bench, contest)]
        for number in range(rounds):
            for contest in contests:
                advance(f"round {number + 1}: {contest.about}")
                found.setdefault(contest.name, []).append(contest.measure(bench, readings))
    return found


def _can(bench: Rig, contest: Contest) -> bool:
    able = {"": True, "tls": bench.has_tls, "postgresql": contest.needs == "postgresql" and bench.start_postgres()}
    if not able[contest.needs]:
        missing = {"tls": "openssl", "postgresql": "PostgreSQL"}[contest.needs]
        click.secho(f"NOT MEASURED: {contest.name}, for {missing} is not installed", fg="red", err=True)
    return able[contest.needs]


@contextlib.contextmanager
def _progress(steps: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description:45}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, disable=quiet) as progress:
        bar = progress.add_task("start", total=steps)
        begun = False

        def advance(about: str) -> None:
            nonlocal begun
            progress.update(bar, description=about, advance=1 if begun else 0)
            begun = True

        yield advance
        progress.update(bar, completed=steps)


def _ratios(goal: Goal, found: dict[str, list[Run]]) -> float:
    pairs = zip(found[goal.name], found[goal.than], strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


def _cpu(runs: list[Run]) -> float:
    """Cores that PACE readings a second take, even if the machine was too busy to keep that pace."""
    return statistics.median(run.cpu / run.readings for run in runs) * PACE


def _summary(found: dict[str, list[Run]], goals: list[tuple[Goal, float]], readings: int) -> dict[str, Any]:
    measured = {
        name: {
            "rate": round(statistics.median(run.rate for run in runs)),
            "rates": [round(run.rate) for run in runs],
            "cpu_us": round(statistics.median(run.cpu / run.readings for run in runs) * 1e6, 2),
            "cores": round(statistics.median(run.cpu / run.seconds for run in runs), 2),
            "memory": max(run.memory for run in runs),
        }
        for name, runs in found.items()
    }
    reached = [
        {"goal": goal.about, "least": goal.least, "ratio": round(ratio, 3), "met": ratio >= goal.least}
        for goal, ratio in goals
    ]
    if "paced" in found:
        cores = _cpu(found["paced"])
        reached.append({"goal": "cores at pace", "most": MOST_CPU, "cores": round(cores, 3), "met": cores <= MOST_CPU})
    return {"readings": readings, "measured": measured, "goals": reached}


def _show(found: dict[str, list[Run]], goals: list[tuple[Goal, float]], readings: int, rounds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{readings:,} readings a measurement, medians of {rounds} rounds; cpu us: processor time of a reading"
    table = Table(title=title, title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    for head in ("readings/s", "lowest", "highest", "cpu us", "cores", "MB"):
        table.add_column(head, justify="right", no_wrap=True)
    about = {contest.name: contest.about for contest in CONTESTS}
    for name, entry in _summary(found, [], readings)["measured"].items():
        rates = entry["rates"]
        memory = f"{entry['memory'] / 1e6:.0f}" if entry["memory"] else ""
        numbers = [f"{rate:,}" for rate in (entry["rate"], min(rates), max(rates))]
        table.add_row(name, about[name], *numbers, f"{entry['cpu_us']:.1f}", f"{entry['cores']:.2f}", memory)
    Console().print(table)
    table = Table("goal", title="ratios of the same round, medians", title_justify="left")
    for head in ("goal", "found", ""):
        table.add_column(head, justify="right")
    for goal, ratio in goals:
        table.add_row(goal.about, f">= {goal.least:g}", f"{ratio:.2f}", _verdict(ratio >= goal.least))
    if "paced" in found:
        cores = _cpu(found["paced"])
        at = f"cores at {PACE:,} readings/s"
        table.add_row(at, f"<= {MOST_CPU:g}", f"{cores:.2f}", _verdict(cores <= MOST_CPU))
    Console().print(table)


def _verdict(met: bool) -> str:
    return "[green]met[/]" if met else "[red]missed[/]"


def _draw(found: dict[str, list[Run]], path: Path) -> None:
    """Bars of the rates, every round as a dot, and each goal's ratio beside what it is of."""
    plots = pyplot()
    about = {contest.name: contest.about for contest in CONTESTS}
    names = [name for name in found if name != "paced"]
    figure, axes = plots.subplots(figsize=(10, 0.45 * len(names) + 1.4))
    ratios: dict[str, list[str]] = {}
    for goal in GOALS:
        if goal.name in names and goal.than in names:
            told = f"{_ratios(goal, found):.2f} of {goal.than} (≥ {goal.least:g})"
            ratios.setdefault(goal.name, []).append(told)
    for place, name in enumerate(reversed(names)):
        rates = [run.rate / 1000 for run in found[name]]
        ours = "sub" not in name and name != "stock"
        axes.barh(place, statistics.median(rates), color="#2b8a6e" if ours else "#9aa5b1", height=0.65)
        axes.plot(rates, [place] * len(rates), ".", color="#20303c", markersize=4)
        axes.text(max(rates), place, "  " + ", ".join(ratios.get(name, [])), va="center", fontsize=7.5)
    axes.set_yticks(range(len(names)), [about[name] for name in reversed(names)])
    axes.set_xlabel("thousand readings/s, durable; bar: median, dots: rounds, dashed: mosquitto_sub; (the goal)")
    if "mosquitto_sub" in found:
        mark = statistics.median(run.rate / 1000 for run in found["mosquitto_sub"])
        axes.axvline(mark, color="#20303c", linewidth=1, linestyle="--")
    axes.margins(x=0.35)
    save(figure, path)
