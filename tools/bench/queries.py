"""python -m tools bench queries: what a page asks, of ten million readings."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .chart import chart_option, draw_outcome, pyplot
from .made_readings import MINUTE, START, Made, fill
from .outcome import Goal, Outcome
from .places import new_database

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from backend.database import Database

DAY = 86_400_000
YEAR = 525_600
SPIKE = 125.0
A_DAY = "24 h of a device, 500 buckets"
NEWEST = "newest of all devices"
INTERVALS = "newest of all devices, with their intervals"
A_YEAR = "a year of a device, 1,000 buckets"
GOALS = {A_DAY: 5.0, NEWEST: 3.0, A_YEAR: 20.0}


@click.command()
@click.option("--readings", default=10_000_000, show_default=True, help="How many, one a minute.")
@click.option("--devices", default=1_000, show_default=True, help="How many have sent them; another one sent a year.")
@click.option("--rounds", default=25, show_default=True, help="Each asks everything once, one after the other.")
@click.option("--database", "kind", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
@chart_option
def queries(readings: int, devices: int, rounds: int, kind: str, seed: int, as_json: bool, chart: Path | None) -> None:
    """Ask what pages ask: a day as a chart, a year as a chart, the newest value of every device.

    Beside them, what plain SQL takes for the same: GROUP BY over the readings. A spike of one reading, hidden in the
    year, must be seen in its chart. Each question asks for another device, as strangers' pages would.
    """
    if chart:
        pyplot()  # before minutes of work: it may be missing
    made = Made(devices, readings // devices)
    outcome = Outcome(f"{made.readings:,} readings of {devices:,} devices in {kind}, and a year of one; seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="thermograph-bench-") as name,
        new_database(Path(name), kind) as database,
    ):
        year = _fill(database, made, seed, quiet=as_json)
        _ask_all(database, made, year, rounds, outcome)
    for name, limit in GOALS.items():
        outcome.goals.append(Goal(f"{name}, ms", outcome.median(name) * 1000, limit, at_most=True))
    outcome.goals.append(Goal("highest value in the year's chart: the spike", float(outcome.facts["peak"]), SPIKE))
    if chart:
        draw_outcome(outcome, chart, unit=0.001, unit_name="ms")
    print(outcome.as_json()) if as_json else outcome.show(unit=0.001, unit_name="ms")
    raise SystemExit(0 if all(goal.passed for goal in outcome.goals) else 1)


def _ask_all(database: "Database", made: Made, year: int, rounds: int, outcome: Outcome) -> None:
    from backend import queries as asked
    from backend.garbage import collect_rarely

    collect_rarely(20_000)  # as the web process does
    end = START + made.each * MINUTE
    until = START + YEAR * MINUTE
    for number in range(rounds):
        device = number * 37 % made.devices + 1
        _time(
            database, outcome, A_DAY, partial(asked.series, channel_id=device, since=end - DAY, until=end, buckets=500)
        )
        _time(database, outcome, NEWEST, lambda c: asked.newest(c, intervals=False))
        _time(database, outcome, INTERVALS, asked.newest)
        buckets = _time(database, outcome, A_YEAR, lambda c: asked.series(c, year, START, until, 1_000))
        if number < 5:
            plain = "a year by GROUP BY over its readings"
            _time(database, outcome, plain, lambda c: _plain_year(c, year, START, until))
    outcome.facts["buckets of the year"] = len(buckets)
    outcome.facts["readings in them"] = sum(bucket.values + bucket.faults for bucket in buckets)
    outcome.facts["width of one, h"] = asked.bucket_width(START, until, 1_000) / 3_600_000
    outcome.facts["peak"] = max(bucket.max for bucket in buckets)


def _time(database: "Database", outcome: Outcome, name: str, ask: "Callable[[Connection], Any]") -> Any:
    with database.read() as connection:
        started = time.perf_counter()
        found = ask(connection)
        outcome.add(name, time.perf_counter() - started)
    return found


def _plain_year(connection: "Connection", channel: int, since: int, until: int) -> Any:
    from sqlalchemy import func, select

    from backend.models import Reading

    number = (Reading.t - since) // ((until - since) // 1_000)
    figures = (func.min(Reading.value), func.avg(Reading.value), func.max(Reading.value), func.count())
    asked = select(number, *figures).where(Reading.channel_id == channel, Reading.t >= since, Reading.t < until)
    return connection.execute(asked.group_by(number)).all()


def _fill(database: "Database", made: Made, seed: int, quiet: bool) -> int:
    """The readings, and another device's year with a spike of one reading in it; that one's channel."""
    from sqlalchemy import insert, update

    from backend import derived
    from backend.bulk import Bulk
    from backend.models import Channel, Device, Reading, Span, Stream

    fill(database, made, seed, quiet)
    id = made.devices + 1
    rows = [
        (id, seq, id, START + (seq - 1) * MINUTE, "ntp", 4 + seq % 16 / 16, None, START + seq * MINUTE)
        for seq in range(1, YEAR + 1)
    ]
    with database.write() as connection:
        connection.execute(insert(Device).values(id=id, name="one-year", enrolled=True, created=START))
        connection.execute(insert(Channel).values(id=id, device_id=id, sensor="28ff641e8216c3a1", unit="Cel"))
        marks = {"sampled": YEAR, "position": YEAR, "frozen": 0, "archived": 0}
        connection.execute(insert(Stream).values(id=id, device_id=id, stream="9f3a1c02", **marks))
        connection.execute(insert(Span).values(stream_id=id, first=1, last=YEAR, cause=None))
        Bulk(connection).insert_readings(rows)
        spike = (Reading.stream_id == id) & (Reading.seq == YEAR // 3)
        connection.execute(update(Reading).where(spike).values(value=SPIKE))
        derived.write_newest(connection)
        derived.write_rollups(connection)
    return id
