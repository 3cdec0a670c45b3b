"""Chromium for tests, screenshots and benchmarks: one process, any number of pages one after the other."""

import json
import shutil
import tempfile
import time

from tests.servers import wait_for
from tests.signed_in import Cookie

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
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
SCHEMES = ("light", "dark")


class Browser:
    """Raises ImportError without selenium, AssertionError without Chromium."""

    def __init__(self) -> None:
        from selenium import webdriver

        assert CHROMIUM and DRIVER, "no browser: apt-get install chromium chromium-driver"
        self.url = ""
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={self.profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

    def visit(self, url: str, cookie: Cookie | None = None) -> "Browser":
        """Paths begin at this url from now on; cookie: who is signed in there. All that was kept is forgotten."""
        self.driver.get("about:blank")
        self.url = url.rstrip("/")
        self.command("Network.clearBrowserCookies")
        self.command("Network.clearBrowserCache")
        if cookie:
            self.command("Network.setCookie", url=self.url, name=cookie.name, value=cookie.value, httpOnly=True)
        self.complaints()
        self.requests()
        return self

    def command(self, method: str, **parameters):
        return self.driver.execute_cdp_cmd(method, parameters)

    def look(self, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """From now on with this screen and these colours."""
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def whole(self, size: tuple[int, int], most: int = 4_000) -> None:
        """As wide as this screen, and as high as the page: for a picture of all of it."""
        height = min(most, max(size[1], self.run("document.documentElement.scrollHeight")))
        self.command(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=height, deviceScaleFactor=1, mobile=False
        )
        self.settled(2)

    def open(self, path: str = "/", size: tuple[int, int] = DESKTOP, live: bool = True) -> None:
        """live: wait until the page says that it is."""
        self.look(size)
        self.driver.get(self.url + path)
        if live:
            wait_for(lambda: self.text("#connection") == "Live", "live connection")

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def text(self, selector: str) -> str:
        return self.run("document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def shown(self, selector: str) -> bool:
        return self.run("Boolean(document.querySelector(arguments[0])?.checkVisibility())", selector)

    def keys(self, selector: str, *keys: str) -> None:
        self.driver.find_element("css selector", selector).send_keys(*keys)

    def wait(self, script: str, *arguments):
        """The value of a promise."""
        return self.driver.execute_async_script(
            f"const done = arguments[arguments.length - 1]; ({script}).then(done, (error) => done(String(error)))",
            *arguments,
        )

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def settled(self, seconds: float = 10) -> None:
        """Return when nothing was fetched for a third of a second: an open event stream does not count."""
        deadline, seen, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - since < 0.35:
            count = self.run("performance.getEntriesByType('resource').length")
            if count != seen:
                seen, since = count, time.monotonic()
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        events = (json.loads(line["message"])["message"] for line in self.driver.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
