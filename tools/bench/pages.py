"""python -m tools bench pages: what people wait for, in a real browser."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .made_readings import MINUTE, Made
from .outcome import Goal, Outcome

if TYPE_CHECKING:
    from backend.database import Database

FIRST = "first screen of 12 devices: first contentful paint"
CARDS = "overview of {} devices: all cards there"
FILTER = "search among {} devices: until it is painted"
TOLD = "commit of a reading until it is in the page"
CHART = "chart request of a year, 525,600 readings"
PLAIN = "the same by GROUP BY over the readings"
YEAR = 525_600
PIXELS = 1_100
# From opening until every card is there.
USABLE = """(async () => {
  while (document.querySelectorAll('.device').length < arguments[0]) await new Promise((go) => setTimeout(go, 10));
  await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
  return performance.now();
})()"""
SEARCH = """(async () => {
  const field = document.getElementById('search');
  const start = performance.now();
  field.value = arguments[0];
  field.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
  return performance.now() - start;
})()"""


@click.command()
@click.option("--devices", default=500, show_default=True, help="How many an overview shows.")
@click.option("--rounds", default=7, show_default=True, help="How often each thing is done.")
@click.option("--readings", default=40, show_default=True, help="How many are committed while a page is open.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the tables.")
def pages(devices: int, rounds: int, readings: int, as_json: bool) -> None:
    """Weight and first paint of the first screen; an overview of 500; from commit to screen; a year as a chart.

    Needs Chromium and its driver (python -m tools setup --for test). Browser, server and database share this machine.
    """
    from tests.browser import CHROMIUM, DRIVER, Browser

    if not (CHROMIUM and DRIVER):
        raise click.ClickException("No Chromium, or no driver for it. python -m tools setup --for test installs both.")
    outcome = Outcome(f"pages in headless Chromium; {devices} devices, {rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="thermograph-bench-") as name, contextlib.closing(Browser()) as browser:
        with _served(Path(name) / "few") as (database, server):
            _first_screen(browser, database, server, rounds, outcome)
            _live(browser, database, server, readings, outcome)
        with _served(Path(name) / "many") as (database, server):
            _many(browser, database, server, devices, rounds, outcome)
        with _served(Path(name) / "year") as (database, server):
            _year(database, server, rounds, outcome)
    print(outcome.as_json()) if as_json else outcome.show(unit=0.001, unit_name="ms")
    raise SystemExit(0 if all(goal.passed for goal in outcome.goals) else 1)


@contextlib.contextmanager
def _served(folder: Path) -> "Iterator[tuple[Database, Any]]":
    """An empty database and a server on it."""
    from backend.database import Database
    from tests.backend.test_web_serve import Web

    folder.mkdir(parents=True)
    url = f"sqlite:///{folder}/thermograph.db"
    database = Database(url)
    database.migrate()
    server = Web(folder / "web", url)
    server.start()
    try:
        yield database, server
    finally:
        server.close()
        database.close()


def _first_screen(browser: Any, database: "Database", server: Any, rounds: int, outcome: Outcome) -> None:
    from tests import signed_in
    from tests.demonstration import demonstrate

    demonstrate(database, days=2)
    cookie = signed_in.cookie(database, "admin")
    weight, strangers = 0.0, set()
    for _ in range(rounds):
        browser.visit(server.url, cookie)
        browser.open("/")
        browser.settled()
        paint = browser.run("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        outcome.add(FIRST, paint / 1000)
        sizes = "performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)"
        weight = browser.run(sizes)
        ours = (server.url, "data:", "chrome:", "about:")
        strangers |= {url for url in browser.requests() if not url.startswith(ours)}
    outcome.goals.append(Goal("first screen, KB transferred, cold", weight / 1000, 150, at_most=True))
    outcome.goals.append(Goal("requests to other hosts", len(strangers), 0, at_most=True))
    outcome.goals.append(Goal("first contentful paint, ms", outcome.median(FIRST) * 1000, 1_000, at_most=True))


def _live(browser: Any, database: "Database", server: Any, readings: int, outcome: Outcome) -> None:
    """Measured by the browser: the clock is one, for all run on this machine."""
    from tests.rows import Rows, now

    rows = Rows(database)
    rows.device("clock", stream="c10c0000")
    channel = rows.channel("clock")
    rows.readings(channel, [(now() - 1_000, 0.0)])
    browser.open("/?q=clock")
    seen = """(async () => {
      const cell = document.querySelector('.device[data-name=clock] data');
      while (Number(cell.value) !== arguments[0]) await new Promise((go) => requestAnimationFrame(go));
      return Date.now();
    })()"""
    for i in range(1, readings + 1):
        rows.readings(channel, [(now(), float(i))])
        committed = time.time()
        outcome.add(TOLD, max(0.0, browser.wait(seen, float(i)) / 1000 - committed))
    ninety_fifth = sorted(outcome.seconds[TOLD])[int(readings * 0.95)]
    outcome.goals.append(Goal("commit to page, p95, ms", ninety_fifth * 1000, 1_000, at_most=True))


def _many(browser: Any, database: "Database", server: Any, devices: int, rounds: int, outcome: Outcome) -> None:
    from tests import signed_in

    from .made_readings import fill

    fill(database, Made(devices, 200), seed=1, quiet=True)
    cookie = signed_in.cookie(database, "admin")
    cards, search = CARDS.format(devices), FILTER.format(devices)
    for _ in range(rounds):
        browser.visit(server.url, cookie)
        browser.open("/", live=False)
        outcome.add(cards, browser.wait(USABLE, devices) / 1000)
        for words in ("1", "12", "123", ""):
            outcome.add(search, browser.wait(SEARCH, words) / 1000)
    outcome.goals.append(Goal("overview usable, ms", outcome.median(cards) * 1000, 1_500, at_most=True))
    outcome.goals.append(Goal("search, ms", outcome.median(search) * 1000, 50, at_most=True))


def _year(database: "Database", server: Any, rounds: int, outcome: Outcome) -> None:
    """Over HTTP, as the page asks; and what SQL alone takes to group the same readings."""
    import json
    import urllib.request

    from sqlalchemy import text

    from tests import signed_in

    from .made_readings import START, fill

    fill(database, Made(1, YEAR), seed=1, quiet=True)
    cookie = signed_in.cookie(database, "admin")
    until = START + YEAR * MINUTE
    asked = f"{server.url}api/v1/channels/1/series?since={START}&until={until}&buckets={PIXELS}"
    buckets = 0
    for number in range(rounds):
        started = time.perf_counter()
        with urllib.request.urlopen(urllib.request.Request(asked, headers=cookie.header)) as answer:  # noqa: S310
            buckets = len(json.load(answer)["buckets"])
        outcome.add(CHART, time.perf_counter() - started)
        if number < 3:
            with database.read() as connection:
                started = time.perf_counter()
                plain = (
                    f"SELECT (t - {START}) / {(until - START) // PIXELS} AS number, min(value), avg(value), max(value)"  # noqa: S608
                    " FROM readings WHERE channel_id = 1 GROUP BY number"
                )
                connection.execute(text(plain)).all()
                outcome.add(PLAIN, time.perf_counter() - started)
    outcome.facts["times as quick as the scan"] = outcome.median(PLAIN) / outcome.median(CHART)
    outcome.goals.append(Goal("chart of a year, ms", outcome.median(CHART) * 1000, 300, at_most=True))
    outcome.goals.append(Goal("its buckets a pixel", buckets / PIXELS, 2, at_most=True))
