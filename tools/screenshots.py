"""python -m tools screenshots: every page, as a phone and a desktop show it, light and dark."""

import tempfile
from pathlib import Path

import click


@click.command()
@click.argument("names", nargs=-1, metavar="[PAGE]...")
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/screenshots"),
    show_default=True,
    help="Folder for NAME-phone-light.png and so on; it is made.",
)
@click.option("--days", default=30, show_default=True, help="How many made-up days the pages show.")
def screenshots(names: tuple[str, ...], target: Path, days: int) -> None:
    """Make pictures of every page (or of those named), from made-up data: tests/pages.py lists them.

    Needs Chromium and its driver (python -m tools setup --for test). Nothing of `make run` is touched.
    """
    from tests.browser import CHROMIUM, DRIVER

    if not (CHROMIUM and DRIVER):
        raise click.ClickException("No Chromium, or no driver for it. python -m tools setup --for test installs both.")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="thermograph-screenshots-") as folder:
        _take(set(names), target, Path(folder), days)
    click.echo(f"They are in {target}.")


def _take(names: set[str], target: Path, folder: Path, days: int) -> None:
    import contextlib

    from backend.app import create_app
    from backend.database import Database
    from backend.settings import Settings
    from tests import signed_in
    from tests.backend.test_web_serve import Web
    from tests.browser import Browser
    from tests.demonstration import demonstrate
    from tests.pages import pages

    url = f"sqlite:///{folder}/thermograph.db"
    database = Database(url)
    with contextlib.ExitStack() as ending:
        ending.callback(database.close)
        database.migrate()
        click.echo(f"Making up {days} days ...")
        demonstrate(database, days)
        app = create_app(Settings(), database)
        app.extensions["live"].close()
        visits = [visit for found in pages(app).values() for visit in found if not names or visit.name in names]
        if unknown := names - {visit.name for visit in visits}:
            raise click.ClickException(f"There is no page {', '.join(sorted(unknown))}: tests/pages.py names them.")
        server = Web(folder / "web", url)
        server.start()
        ending.callback(server.close)
        browser = Browser()
        ending.callback(browser.close)
        cookies = {"admin": signed_in.cookie(database, "admin"), "nobody": None}
        with click.progressbar([visit for visit in visits if visit.who in cookies], label="Pages") as shown:
            for visit in shown:
                browser.visit(server.url, cookies[visit.who])
                _picture(browser, visit.path, target / visit.name)


def _picture(browser: "Browser", path: str, stem: Path) -> None:  # type: ignore[name-defined]  # noqa: F821
    from tests.browser import DESKTOP, PHONE, SCHEMES

    for device, size in (("phone", PHONE), ("desktop", DESKTOP)):
        for scheme in SCHEMES:
            browser.look(size, scheme)
            browser.driver.get(browser.url + path)
            browser.settled()
            browser.whole(size)
            browser.driver.save_screenshot(str(stem.with_name(f"{stem.name}-{device}-{scheme}.png")))
