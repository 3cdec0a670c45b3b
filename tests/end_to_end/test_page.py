"""The page in a real browser, on a real server: what a person sees, and when."""

import contextlib
import json
import shutil
import tempfile
import time

import pytest

from backend.database import Database
from tests.backend.test_web_serve import Web
from tests.rows import demonstrate, now
from tests.servers import wait_for

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no browser: apt-get install chromium chromium-driver", allow_module_level=True)

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PHONE, DESKTOP = (360, 640), (1280, 900)


class Page:
    """The overview in Chromium."""

    def __init__(self, url: str) -> None:
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={self.profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.url = url

    def open(self, size=DESKTOP) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(self.url)
        wait_for(lambda: self.text("#connection") == "Live", "live connection")

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def text(self, selector: str) -> str:
        return self.run("document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def shown(self, selector: str) -> bool:
        return self.run("Boolean(document.querySelector(arguments[0])?.offsetParent)", selector)

    def value(self) -> str:
        return self.text("data")

    def table(self) -> list[str]:
        """The readings that the first channel's chart holds, as its table counts them."""
        self.run("document.querySelector('details.table').open = true")
        return self.run("[...document.querySelectorAll('details.table tbody tr')].map(row => row.cells[4].innerText)")

    def complaints(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        events = (json.loads(line["message"])["message"] for line in self.driver.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


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
def page(web):
    with contextlib.closing(Page(web.url)) as page:
        yield page


def seconds_until(condition) -> float:
    start = time.monotonic()
    wait_for(condition, "change on the page", 10)
    return time.monotonic() - start


def test_the_first_reading_turns_the_empty_page_into_a_card(page, rows):
    page.open()
    assert page.shown("#empty") and page.text("#command") and not page.shown("#ledger")
    rows.device()
    channel = rows.channel()
    rows.readings(channel, [(now(), 21.4375)])
    assert seconds_until(lambda: page.value() == "21.44") < 1.5
    assert not page.shown("#empty") and page.shown("#ledger")
    wait_for(lambda: page.shown(".chart canvas"), "chart", 3)
    assert page.text("#headline") == "1 device, all well; every reading accounted for."


def test_a_committed_reading_is_there_within_a_second(page, rows, channel):
    rows.readings(channel, [(now() - 10_000, 4.0)])
    page.open()
    assert page.value() == "4.00"
    rows.readings(channel, [(now(), -0.5)])
    assert seconds_until(lambda: page.value() == "\u22120.50") < 1
    assert page.run("document.querySelector('data').value") == "-0.5"
    assert page.text("[data-field=sampled]") == "2"


def test_age_ticks_and_silence_is_told(page, rows, channel):
    t = now()
    rows.readings(channel, [(t - 16_000 + i * 1000, 4.0) for i in range(10)])
    page.open()
    first = page.text(".age time")
    wait_for(lambda: page.text(".age time") != first, "another age", 3)
    wait_for(lambda: page.run("Boolean(document.querySelector('.channel.stale'))"), "grey", 12)
    wait_for(lambda: "fridge-1 has been silent for" in page.text("#headline"), "headline", 3)


def test_a_killed_server_brings_the_banner_and_then_everything_once(page, web, rows, channel):
    t = now()
    rows.readings(channel, [(t - 60_000 + i * 10_000, 4.0 + i) for i in range(6)])
    page.open()
    wait_for(lambda: sum(map(int, page.table())) == 6, "six points")
    web.kill()
    wait_for(lambda: page.shown("#banner") and "lost" in page.text("#banner"), "banner", 5)
    rows.readings(channel, [(t, 10.0)])
    rows.readings(channel, [(t + 100, 11.0), (t + 200, 12.0)])
    web.start()
    wait_for(lambda: not page.shown("#banner") and page.value() == "12.00", "resumption", 15)
    wait_for(lambda: sum(map(int, page.table())) == 9, "each reading once", 5)
    rows.readings(channel, [(t + 5_000, 13.0)])
    wait_for(lambda: page.value() == "13.00", "the next reading", 5)


def test_a_backlog_fills_the_chart(page, rows, channel):
    t = now()
    rows.readings(channel, [(t - 3_000_000, 4.0)])
    page.open()
    wait_for(lambda: page.table() == ["1"], "one point")
    rows.readings(channel, [(t - 2_000_000 + i * 10_000, 5.0) for i in range(200)])
    wait_for(lambda: sum(map(int, page.table())) == 201, "the backlog", 5)
    for i in range(5):
        rows.readings(channel, [(t + i, 6.0 + i)])
        time.sleep(0.25)
    wait_for(lambda: page.value() == "10.00", "the last", 5)
    wait_for(lambda: sum(map(int, page.table())) == 206, "each reading once", 5)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_fits_the_screen_complains_of_nothing_and_asks_nobody_else(page, database, web, size):
    demonstrate(database)
    page.open(size)
    wait_for(lambda: page.run("document.querySelectorAll('canvas').length") >= 1, "a chart")
    # Every card comes into sight once, so that every chart is drawn.
    page.run("document.querySelectorAll('.card').forEach(card => card.scrollIntoView())")
    page.run("document.querySelectorAll('details').forEach(details => details.open = true)")
    time.sleep(1)
    assert page.run("document.documentElement.scrollWidth") <= size[0]
    small = page.run(
        "[...document.querySelectorAll('a:not(.skip), button, summary')].filter(e => e.offsetParent)"
        ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
    )
    assert small == []
    assert page.complaints() == []
    strangers = [url for url in page.requests() if not url.startswith((web.url, "data:", "chrome:"))]
    assert strangers == []
    sizes = "performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)"
    assert page.run(sizes) < 150_000


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
    assert "The sensor does not answer" in page.text(".fault")


def test_the_chart_is_read_with_the_keyboard(page, rows, channel):
    t = now()
    rows.readings(channel, [(t - 20_000, 4.0), (t - 10_000, 5.0), (t, 6.0)])
    page.open()
    wait_for(lambda: page.shown(".chart canvas"), "chart")
    chart = page.driver.find_element("css selector", ".chart")
    chart.send_keys(webdriver.Keys.ARROW_LEFT)
    assert page.text("output").endswith("6.00\u00a0°C")
    chart.send_keys(webdriver.Keys.ARROW_LEFT)
    assert page.text("output").endswith("5.00\u00a0°C")
    chart.send_keys(webdriver.Keys.ESCAPE)
    assert page.text("output").startswith("Last hour: 4.00 to 6.00")
