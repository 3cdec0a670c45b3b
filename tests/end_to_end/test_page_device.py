"""A device's page in a real browser: one made-up fridge of ten days, and what its address says of it."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from backend.alerts import rules
from backend.alerts.tables import AlertRule
from backend.database import Database
from tests import signed_in
from tests.backend.test_web_serve import Web
from tests.demonstration import SPIKE, demonstrate
from tests.rows import Rows, now
from tests.servers import wait_for


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The demonstration on a server: (database, server)."""
    folder = tmp_path_factory.mktemp("device-page")
    url = f"sqlite:///{folder}/thermograph.db"
    database = Database(url)
    database.migrate()
    demonstrate(database, days=10)
    server = Web(folder / "web", url)
    server.start()
    yield database, server
    server.close()
    database.close()


@pytest.fixture
def page(browser, world):
    database, server = world
    yield browser.visit(server.url, signed_in.cookie(database, "operator"))
    browser.driver.get("about:blank")


def open_device(page, query="", name="fridge-1"):
    page.open(f"/devices/{name}{query}")
    wait_for(lambda: page.shown("#chart canvas") and page.text("#statistics"), "chart and figures", 20)


def figure(page, name):
    """A statistic as the page has it."""
    found = "[...document.querySelectorAll('#statistics > div')].find(e => e.children[0].innerText === arguments[0])"
    return page.run(f"({found})?.children[1].innerText", name)


def everything(page):
    """What the address decides, as text."""
    limits = "[...document.querySelectorAll('.limit')].map(e => e.innerText)"
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.innerText)"
    return {
        "value": page.text("#value-line data") + page.text("#unit"),
        "highest": figure(page, "Highest"),
        "kinetic": figure(page, "Mean kinetic"),
        "limits": page.run(limits),
        "pressed": page.run(pressed),
        "zone": page.run("document.getElementById('zone').value"),
        "gaps": page.text("#gaps"),
        "from": page.run("document.getElementById('from').value"),
    }


def test_an_address_shows_the_same_in_a_fresh_session(page, world):
    start, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now() / 1000 - ago)) for ago in (8 * 86_400, 3_600))
    open_device(page, f"?range=custom&from={start}&to={end}&unit=F&tz=Asia/Tokyo")
    first, address = everything(page), page.driver.current_url
    assert first["zone"] == "Asia/Tokyo" and first["pressed"] == ["Custom", "°F"]
    database, server = world
    page.visit(server.url, signed_in.cookie(database, "viewer"))
    open_device(page, "?" + urlsplit(address).query)
    again = everything(page)
    # A viewer drags no limits.
    assert again.pop("limits") == [] and first.pop("limits") == ["35.6\u00a0°F", "46.4\u00a0°F"]
    assert again == first


def test_fahrenheit_changes_value_figures_limits_and_export_together(page):
    open_device(page, "?range=7d")
    celsius = everything(page)
    assert celsius["highest"] == f"{SPIKE:.2f}\u00a0°C".replace("11.375", "11.38")
    page.click("[data-unit=F]")
    fahrenheit = everything(page)
    assert fahrenheit["highest"] == f"{SPIKE * 1.8 + 32:.1f}\u00a0°F"
    assert celsius["limits"] == ["2.00\u00a0°C", "8.00\u00a0°C"]
    assert fahrenheit["limits"] == ["35.6\u00a0°F", "46.4\u00a0°F"]
    export = parse_qs(urlsplit(page.run("document.getElementById('csv').href")).query)
    assert export["unit"] == ["F"] and export["format"] == ["csv"] and "unit=F" in page.driver.current_url
    lines = page.wait("fetch(document.getElementById('csv').href).then(answer => answer.text())").splitlines()
    assert max(float(cell) for line in lines[1:] for cell in line.split(",") if cell.startswith("52.4"))


def test_a_spike_of_one_reading_is_seen_and_buckets_are_no_more_than_two_a_pixel(page):
    open_device(page, "?range=1y")
    assert figure(page, "Highest") == "11.38\u00a0°C"
    assert page.text("#readout").endswith("to 11.38\u00a0°C")
    asked = "performance.getEntriesByType('resource').map(e => e.name).filter(name => name.includes('/series?')).at(-1)"
    query = parse_qs(urlsplit(page.run(asked)).query)
    width = page.run("document.getElementById('chart').clientWidth")
    assert int(query["buckets"][0]) <= 2 * width
    answer = page.wait(f"fetch({asked}).then(answer => answer.json())")
    assert 0 < len(answer["buckets"]) <= 2 * width


def test_a_gap_breaks_the_line_and_has_its_cause(page):
    open_device(page, "?range=7d")
    assert "72 readings lost: the device\u2019s flash was full." in page.text("#gaps")
    assert figure(page, "Unknown").endswith("h")
    broken = """import('/static/js/series.js').then(({columns, holes}) => {
        const at = (t) => ({t, first: t, last: t, min: 1, mean: 1, max: 1, values: 1, faults: 0});
        const points = [at(0), at(10), at(41), at(50)];
        const gap = {begin: 10, end: 41, cause: 'flash-full', readings: 2};
        const line = (longest) => columns(points, longest).data[1];
        return [line(30), line(31), holes(points, 30, [gap], 100), holes(points, 30, [], 60)];
    })"""
    over, within, named, unnamed = page.wait(broken)
    assert over == [1, 1, None, 1, 1] and within == [1, 1, 1, 1]
    assert [(hole["begin"], hole["end"], bool(hole["gap"])) for hole in named] == [(10, 41, True), (50, 100, False)]
    assert [(hole["begin"], hole["gap"]) for hole in unnamed] == [(10, None)]


def test_the_chart_is_read_with_the_keyboard_and_has_a_table(page):
    open_device(page, "?range=24h")
    page.keys("#chart", "\ue012")  # arrow left
    first = page.text("#readout")
    assert "°C" in first and page.run("document.getElementById('readout').getAttribute('aria-live')") == "polite"
    page.keys("#chart", "\ue012")
    assert page.text("#readout") != first
    page.keys("#chart", "\ue00c")  # escape
    assert " to " in page.text("#readout")
    page.run("document.getElementById('table').open = true")
    wait_for(lambda: page.run("document.querySelectorAll('#rows tr').length") > 20, "the table")
    counted = page.run("[...document.querySelectorAll('#rows tr')].map(row => Number(row.cells[4].innerText))")
    assert sum(counted) == int(figure(page, "Readings"))


@pytest.fixture
def rules_as_they_were(world):
    """For the tests that come after it, in whatever order."""
    database, _ = world
    with database.read() as connection:
        bodies = connection.execute(select(AlertRule.id, AlertRule.body)).all()
    yield
    with database.write() as connection:
        for id, body in bodies:
            connection.execute(update(AlertRule).where(AlertRule.id == id).values(body=body))


def test_a_limit_is_moved_with_the_keyboard_and_changed_after_a_question(page, world, rules_as_they_were):
    open_device(page)
    handle = ".limit[aria-label*='too warm']"
    wait_for(lambda: page.shown(handle), "the limit's handle")
    page.keys(handle, "\ue013")  # arrow up: half a degree
    assert page.text(handle) == "8.50\u00a0°C"
    page.keys(handle, "\ue007")  # enter
    wait_for(lambda: page.shown("#confirm"), "the question")
    assert "above 8.50\u00a0°C instead of above 8.00\u00a0°C" in page.text("#confirm-text")
    page.click("#confirm-yes")
    database, _ = world

    def limits():
        with database.read() as connection:
            return [entry.rule.limit for entry in rules.rules(connection) if entry.name == "Vaccine fridge: too warm"]

    wait_for(lambda: limits() == [8.5] or page.text("#confirm-told"), "the change")
    assert limits() == [8.5], page.text("#confirm-told")
    wait_for(lambda: page.text(handle) == "8.50\u00a0°C" and not page.shown("#confirm"), "the new limit")


def test_readings_appear_once_and_stale_ones_are_grey(page, world):
    database, _ = world
    rows = Rows(database)
    rows.device("live-1", stream="0badcafe")
    channel = rows.channel("live-1")
    t = now()
    rows.readings(channel, [(t - 30_000 + i * 1_000, 4.0) for i in range(25)])
    page.open("/devices/live-1?range=1h")
    counted = "[...document.querySelectorAll('#rows tr')].reduce((sum, row) => sum + Number(row.cells[4].innerText), 0)"
    page.run("document.getElementById('table').open = true")
    wait_for(lambda: page.run(counted) == 25, "all points")
    for i in range(4):
        rows.readings(channel, [(now(), 5.0 + i)])
        time.sleep(0.3)
    rows.readings(channel, [(t - 1_000_000 + i, 3.0) for i in range(10)])
    wait_for(lambda: page.run(counted) == 39, "each reading once", 15)
    wait_for(lambda: page.run("Boolean(document.querySelector('#value-line.stale'))"), "grey", 25)
    assert "ago" in page.text("#age")


def test_tabs_hold_alerts_settings_health_and_ledger(page):
    open_device(page, "?range=30d")
    for tab, words in (("alerts", "Vaccine fridge: too warm"), ("health", "0.1.0"), ("ledger", "72 readings lost")):
        page.click(f"#tab-{tab}")
        assert words in page.text(f"#panel-{tab}") and f"tab={tab}" in page.driver.current_url
        assert not page.shown("#panel-data")
    page.click("#tab-settings")
    wait_for(lambda: page.text("#revision") == "running r3.", "the running settings")
    page.run("document.querySelector('#settings-form [name=interval]').value = '30'")
    page.click("#settings-form button")
    wait_for(lambda: page.text("#revision").startswith("Wanted r"), "the wanted settings")
    assert page.text("#revision").endswith("/ running r3.")


def test_a_name_for_people_is_saved(page, world):
    page.open("/devices/rack-2?tab=settings")
    page.run("document.querySelector('#words-form [name=label]').value = '<b>Rack</b> two'")
    page.click("#words-form button")
    wait_for(lambda: page.text("#words-form [data-told]"), "the answer")
    assert page.text("#words-form [data-told]") == "Saved."
    wait_for(lambda: page.text("#name") == "<b>Rack</b> two", "the name")


def test_walls_of_time_zones(page):
    page.open("/fleet")
    asked = """import('/static/js/zone.js').then(({fromWall, toWall}) => [
        toWall(1_793_494_800_000, 'Europe/Berlin'), fromWall('2026-11-01T02:00', 'Europe/Berlin'),
        fromWall('2026-07-01T12:00', 'America/New_York'), toWall(Date.UTC(2026, 6, 1, 16), 'America/New_York'),
        fromWall('nonsense', 'UTC')])"""
    there, back, summer, wall, nothing = page.wait(asked)
    assert there == "2026-11-01T02:00"
    assert back == 1_793_494_800_000
    assert wall == "2026-07-01T12:00" and summer == 1_782_921_600_000 and nothing is None
