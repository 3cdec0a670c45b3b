"""The overview in a real browser, on a real server: what a person sees, and when."""

import time

import pytest

from backend.alerts import rules
from backend.alerts.engine import Engine
from backend.alerts.rule import Rule
from backend.database import Database
from tests import signed_in
from tests.backend.test_web_serve import Web
from tests.browser import PHONE
from tests.rows import demonstrate, now
from tests.servers import wait_for


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/thermograph.db")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def web(tmp_path, database):
    server = Web(tmp_path / "web", f"sqlite:///{tmp_path}/thermograph.db")
    server.start()
    yield server
    server.close()


@pytest.fixture
def page(browser, web, database):
    yield browser.visit(web.url, signed_in.cookie(database, "admin"))
    # No stream may outlive its server: the page would go on asking.
    browser.driver.get("about:blank")


def seconds_until(condition) -> float:
    start = time.monotonic()
    wait_for(condition, "change on the page", 10)
    return time.monotonic() - start


def value(page) -> str:
    return page.text("#devices data")


def test_the_first_reading_turns_the_empty_page_into_a_card(page, rows):
    page.open()
    assert page.shown("#empty") and page.text("#command") and not page.shown("#ledger")
    assert page.text("#headline") == "Waiting for the first reading."
    rows.device()
    channel = rows.channel()
    rows.readings(channel, [(now(), 21.4375)])
    wait_for(lambda: value(page) == "21.44", "the card", 10)
    assert not page.shown("#empty") and page.shown("#ledger")
    assert page.text("#headline") == "fridge-1 is fine."
    assert page.text("#headline-rest") == "Every reading accounted for."


def test_a_committed_reading_is_there_soon(page, rows, channel):
    """Within a second at p95 on a quiet machine: python -m tools bench pages."""
    rows.readings(channel, [(now() - 10_000, 4.0)])
    page.open()
    assert value(page) == "4.00"
    took = []
    for i in range(5):
        rows.readings(channel, [(now(), -0.5 - i)])
        took.append(seconds_until(lambda i=i: value(page) == f"\u2212{i}.50"))
    assert min(took) < 1
    assert page.run("document.querySelector('#devices data').value") == "-4.5"
    wait_for(lambda: page.text("[data-field=sampled]") == "6", "the ledger", 5)


def test_age_ticks_and_silence_is_told(page, rows, channel):
    t = now()
    rows.readings(channel, [(t - 16_000 + i * 1000, 4.0) for i in range(10)])
    page.open()
    first = page.text(".age time")
    wait_for(lambda: page.text(".age time") != first, "another age", 3)
    wait_for(lambda: page.run("Boolean(document.querySelector('.device.stale'))"), "grey", 12)
    wait_for(lambda: "fridge-1 has been silent for" in page.text("#headline"), "headline", 3)


def test_what_is_wrong_stands_first_in_words_and_cards(page, rows, channel, database):
    t = now()
    rows.readings(channel, [(t - i * 60_000, 4.0) for i in range(30, -1, -1)])
    rows.device("freezer-2", stream="00000002")
    freezer = rows.channel("freezer-2")
    rows.set_device("freezer-2", label="Freezer 2", place="Cellar")
    rows.readings(freezer, [(t - i * 60_000, -14.9 if i < 15 else -20.0) for i in range(30, -1, -1)])
    with database.write() as connection:
        rules.add_rule(connection, "Warm", freezer, Rule("high", -18, duration=300_000, severity="critical"), ())
    Engine(database).round(t)
    page.open()
    assert page.text("#headline").startswith("1 of 2 fine; Freezer 2 is 3.1° too warm for 14 min")
    assert page.run("[...document.querySelectorAll('.device h3')].map(e => e.innerText)") == ["Freezer 2", "fridge-1"]
    assert page.run("[...document.querySelectorAll('.place h2')].map(e => e.innerText)") == ["Cellar", "Elsewhere"]
    assert page.text(".device .trouble") == "3.1° too warm for 14 min"
    wait_for(lambda: page.run("document.querySelector('.spark .mean').getAttribute('d')?.length > 2"), "a sparkline")
    assert "alert above \u221218.00" in page.run("document.querySelector('.spark').getAttribute('aria-label')")
    page.click("[data-unit=F]")
    assert page.text("#headline").startswith("1 of 2 fine; Freezer 2 is 5.6° too warm")
    assert value(page) == "5.2"
    assert "unit=F" in page.run("document.querySelector('.device h3 a').href")


def test_search_by_a_key(page, database):
    demonstrate(database)
    page.open()
    page.keys("body", "/")
    page.keys("#search", "green")
    shown = "[...document.querySelectorAll('.device h3')].filter(e => e.offsetParent).map(e => e.innerText)"
    assert page.run(shown) == ["greenhouse"]
    assert page.text("#found") == "1 of 4" and "q=green" in page.driver.current_url
    page.driver.refresh()
    wait_for(lambda: page.run(shown) == ["greenhouse"], "the same search again", 10)


def test_a_killed_server_brings_the_banner_and_then_everything(page, web, rows, channel):
    t = now()
    rows.readings(channel, [(t - 60_000 + i * 10_000, 4.0 + i) for i in range(6)])
    page.open()
    web.kill()
    wait_for(lambda: page.shown("#banner") and "lost" in page.text("#banner"), "banner", 10)
    rows.readings(channel, [(t, 10.0)])
    rows.readings(channel, [(t + 100, 11.0), (t + 200, 12.0)])
    web.start()
    wait_for(lambda: not page.shown("#banner") and value(page) == "12.00", "resumption", 20)
    assert page.text("[data-field=sampled]") == "9"


def test_without_a_stream_the_page_asks_and_says_so(page, rows, channel):
    rows.readings(channel, [(now() - 10_000, 4.0)])
    page.command("Network.enable")
    page.command("Network.setBlockedURLs", urls=["*/api/v1/events*"])
    try:
        page.open(live=False)
        wait_for(lambda: page.text("#connection") == "Not live", "the lost stream", 15)
        rows.readings(channel, [(now(), 5.0)])
        wait_for(lambda: page.text("#connection") == "Every 10 s", "the fallback", 60)
        assert "asks every 10 s" in page.text("#banner")
        wait_for(lambda: value(page) == "5.00", "the reading", 15)
    finally:
        page.command("Network.setBlockedURLs", urls=[])
    wait_for(lambda: page.text("#connection") == "Live" and not page.shown("#banner"), "the stream again", 15)


def test_complains_of_nothing_asks_nobody_else_and_is_light(page, database, web):
    demonstrate(database)
    page.open(size=PHONE)
    page.settled()
    assert page.complaints() == []
    strangers = [url for url in page.requests() if not url.startswith((web.url, "data:", "chrome:", "about:"))]
    assert strangers == []
    sizes = "performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)"
    assert 10_000 < page.run(sizes) < 150_000


def test_the_numbers_add_up_and_gaps_have_a_cause(page, database):
    demonstrate(database)
    page.open()
    counts = {
        key: int(page.text(f".sum [data-field={key}]"))
        for key in ("archived", "waiting_for_archive", "waiting_on_device", "lost", "sampled")
    }
    assert counts.pop("sampled") == sum(counts.values()) == 878
    assert "25 readings lost (numbers 336 to 360): the device\u2019s flash was full." in page.text(
        "#ledger-total .gaps"
    )
    assert "The sensor does not answer" in page.run("document.body.innerText").replace("the sensor", "The sensor")
