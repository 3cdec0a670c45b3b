"""python -m tools bench soak: half an hour of load with a kill -9 of ingest a minute, and whether anything grows."""

import dataclasses
import itertools
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .chart import GREEN, GREY, INK, RED, chart_option, pyplot, save
from .outcome import Goal, Outcome
from .soak_run import Look, Soak, highest_rate, judge_archive, play, stage

MEMORY_GROWTH = 16.0  # MB that either process may seem to have grown by over the last two thirds
LAG_GROWTH = 1.0  # seconds, the same
LOOKS_A_WINDOW = 3


@click.command()
@click.option("--minutes", default=30.0, show_default=True, help="For how long readings are published.")
@click.option("--rate", type=float, help="Readings/s. Default: half of the highest rate, measured first.")
@click.option("--kill-every", default=60.0, show_default=True, help="Seconds between two kill -9 of ingest.")
@click.option("--look-every", default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
@chart_option
def soak(
    minutes: float, rate: float | None, kill_every: float, look_every: float, as_json: bool, chart: Path | None
) -> None:
    """Load ingest and archiver for long, kill ingest all the time, and see whether memory or lag grows.

    mosquitto, SQLite with fsync and an S3 server are real, one reading a message. Ingest is started again whenever it
    is killed. Growth is the slope of a line through the medians between two kills, over the last two thirds of the
    time; allowed are 16 MB for either process and 1 s of lag. At the end everything that was sent has to be in S3,
    once, with its value, and `verify` has to agree.

    Readings leave SQLite once S3 was shown to hold them: 30 minutes at 50,000 readings/s take less than 2 GB of disk.

    \b
    python -m tools bench soak --chart soak.png
    python -m tools bench soak --minutes 3 --rate 5000 --json
    """
    if minutes <= 0 or kill_every <= 0 or look_every <= 0 or (rate is not None and rate <= 0):
        raise click.UsageError("--minutes, --rate, --kill-every and --look-every must be above 0")
    if chart:
        pyplot()  # that it is missing must not be found out after half an hour
    done = _run(minutes * 60, rate, kill_every, look_every, quiet=as_json)
    outcome = judge(done, kill_every)
    if chart:
        draw(done, chart)
    if as_json:
        told = json.loads(outcome.as_json())
        looks = [dataclasses.asdict(one) for one in done.looks]
        print(json.dumps({**told, "kills": done.kills, "looks": looks, "wrong": (done.wrong + done.findings)[:20]}))
    else:
        _show_minutes(done)
        outcome.show()
        for line in (done.wrong + done.findings)[:20]:
            click.echo(line)
    raise SystemExit(0 if all(goal.passed for goal in outcome.goals) else 1)


def _run(seconds: float, rate: float | None, kill_every: float, look_every: float, quiet: bool) -> Soak:
    from rich.progress import Progress

    with stage() as (rig, begin, store), Progress(disable=quiet, refresh_per_second=2) as progress:
        highest = None if rate else highest_rate(rig)
        done = Soak(rate or (highest or 0) / 2, highest)
        bar = progress.add_task(f"{done.rate:,.0f} readings/s", total=seconds)

        def tell(seen: Look) -> None:
            text = f"{seen.stored:,} stored, lag {seen.lag:.1f} s, ingest {seen.ingest / 1e6:.0f} MB"
            progress.update(bar, completed=seen.at, description=text)

        with begin() as playing:
            play(playing, done, seconds, kill_every, look_every, tell)
        progress.update(bar, description="reading the archive back")
        judge_archive(playing.url, store, done)
    return done


def judge(done: Soak, kill_every: float) -> Outcome:
    """The verdict."""
    outcome = Outcome(f"{done.rate:,.0f} readings/s, {len(done.kills)} kills of ingest, one every {kill_every:g} s")
    looks = done.looks
    stored = [(b.stored - a.stored) / (b.at - a.at) for a, b in itertools.pairwise(looks)]
    if done.highest is not None:
        outcome.facts["highest rate, readings/s"] = round(done.highest)
    outcome.facts |= {
        "readings sent": done.sent,
        "committed, readings/s, median": round(statistics.median(stored)) if stored else 0,
        "lag from sample to commit, s, median": statistics.median(one.lag for one in looks),
        "lag, s, most": max(one.lag for one in looks),
        "waiting in the broker, most": max(one.waiting for one in looks),
        "memory of ingest, MB, most": max(one.ingest for one in looks) / 1e6,
        "memory of the archiver, MB, most": max(one.archiver for one in looks) / 1e6,
        "disk at the end, MB": done.disk / 1e6,
    }
    for name, figure, limit in (
        ("ingest's memory grew, MB", lambda one: one.ingest / 1e6, MEMORY_GROWTH),
        ("the archiver's memory grew, MB", lambda one: one.archiver / 1e6, MEMORY_GROWTH),
        ("lag grew, s", lambda one: one.lag, LAG_GROWTH),
    ):
        outcome.goals.append(Goal(name, growth(looks, figure, kill_every), limit, at_most=True))
    outcome.goals += [
        Goal("sent, and not stored", done.sent - done.stored, 0, at_most=True),
        Goal("sent, and not archived", done.sent - done.archived, 0, at_most=True),
        Goal("not in S3 once with its value", len(done.wrong), 0, at_most=True),
        Goal("verify's findings", len(done.findings), 0, at_most=True),
    ]
    return outcome


def growth(looks: Sequence[Look], figure: Any, window: float) -> float:
    """By how much it grew over the last two thirds: the slope of the least squares through the medians of windows of
    so many seconds, times the time between the first and the last; 0 if there is but one window."""
    if not looks:
        return 0.0
    since = looks[-1].at / 3
    windows: dict[int, list[tuple[float, float]]] = {}
    for one in looks:
        if one.at >= since:
            windows.setdefault(int(one.at // window), []).append((one.at, figure(one)))
    points = [
        (statistics.mean(at for at, _ in seen), statistics.median(value for _, value in seen))
        for seen in windows.values()
        if len(seen) >= LOOKS_A_WINDOW
    ]
    if len(points) < 2:
        return 0.0
    slope, _ = statistics.linear_regression(*zip(*points, strict=True))
    return float(slope * (points[-1][0] - points[0][0]))


def _show_minutes(done: Soak) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("minute", "committed/s", "lag, s", "waiting", "ingest, MB", "archiver, MB", title="medians")
    by_minute: dict[int, list[Look]] = {}
    for one in done.looks:
        by_minute.setdefault(int(one.at // 60), []).append(one)
    for minute, seen in by_minute.items():
        span = seen[-1].at - seen[0].at
        rate = (seen[-1].stored - seen[0].stored) / span if span else 0
        figures = [
            statistics.median(figure(one) for one in seen)
            for figure in (
                lambda one: one.lag,
                lambda one: one.waiting,
                lambda one: one.ingest / 1e6,
                lambda one: one.archiver / 1e6,
            )
        ]
        lag, waiting, ingest, archiver = figures
        table.add_row(str(minute), f"{rate:,.0f}", f"{lag:.2f}", f"{waiting:,.0f}", f"{ingest:.0f}", f"{archiver:.0f}")
    Console().print(table)


def draw(done: Soak, path: Path) -> None:
    """Throughput, memory and lag over time, with the kills."""
    looks = done.looks
    minutes = [one.at / 60 for one in looks]
    plots = pyplot()
    figure, (rates, memory, lag) = plots.subplots(3, 1, sharex=True, figsize=(10, 7.5))
    figure.suptitle(
        f"{done.rate:,.0f} readings/s for {minutes[-1]:.2g} minutes, {len(done.kills)} kills -9 of ingest", color=INK
    )
    stored = [(b.stored - a.stored) / (b.at - a.at) / 1000 for a, b in itertools.pairwise(looks)]
    rates.plot(minutes[1:], stored, color=GREEN, label="committed")
    rates.axhline(done.rate / 1000, color=INK, linewidth=1, linestyle="--", label="published")
    rates.set_ylabel("thousand readings/s")
    for name, color, figures in (("ingest", GREEN, "ingest"), ("archiver", GREY, "archiver")):
        memory.plot(minutes, [getattr(one, figures) / 1e6 for one in looks], color=color, label=name)
    memory.set_ylabel("memory, MB")
    lag.plot(minutes, [one.lag for one in looks], color=GREEN, label="sample to commit")
    lag.set_ylabel("lag, s")
    lag.set_xlabel("minutes; red: kill -9 of ingest")
    for axes in (rates, memory, lag):
        for at in done.kills:
            axes.axvline(at / 60, color=RED, linewidth=0.6, alpha=0.5)
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper right", frameon=False)
    save(figure, path)
