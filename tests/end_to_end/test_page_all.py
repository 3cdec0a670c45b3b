"""Every page of the app's own url_map, light and dark, on a phone and a desktop: nobody is kept out of it."""

import contextlib

import pytest
from flask import Flask

from backend.accounts import sessions
from backend.app import create_app
from backend.database import Database
from backend.run.layout import TOOLS
from backend.settings import Settings
from tests import signed_in
from tests.backend.test_web_serve import Web
from tests.browser import DESKTOP, PHONE
from tests.demonstration import demonstrate
from tests.pages import VISITS, pages
from tests.rows import now
from tests.servers import wait_for
from tools.setup import AXE

LOOKS = ((PHONE, "light"), (DESKTOP, "dark"))
TARGET = 44
# Links within a sentence are as high as it is (WCAG 2.5.8 leaves them out); of a box to tick, its label is the target.
SMALL = """[...document.querySelectorAll('a, button, summary, select, input, textarea, [role=slider], [role=tab]')]
    .filter(e => e.offsetParent && !e.matches('.skip, [type=hidden], [type=checkbox], [type=radio]'))
    .filter(e => !(e.matches('a') && getComputedStyle(e).display === 'inline'))
    .filter(e => e.getBoundingClientRect().height < arguments[0] - 0.5)
    .map(e => Math.round(e.getBoundingClientRect().height) + ' px: ' + e.outerHTML.slice(0, 120))"""
FINDINGS = """axe.run({resultTypes: ['violations']}).then(({violations}) => violations
    .filter(({impact}) => ['serious', 'critical'].includes(impact))
    .map(({id, nodes}) => id + ': ' + nodes.slice(0, 3).map(({html}) => html.slice(0, 160)).join(' | ')))"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(database, server) with ten made-up days, and (database, server) with nobody in it."""
    with contextlib.ExitStack() as ending:
        made = []
        for name in ("full", "empty"):
            folder = tmp_path_factory.mktemp(name)
            url = f"sqlite:///{folder}/thermograph.db"
            database = Database(url)
            ending.callback(database.close)
            database.migrate()
            server = Web(folder / "web", url)
            if name == "full":
                demonstrate(database, days=10)
            else:
                server.settings["THERMOGRAPH_WELCOME"] = "open"
            server.start()
            ending.callback(server.close)
            made.append((database, server))
        yield made


def half_signed_in(database: Database) -> signed_in.Cookie:
    """A cookie of somebody whose password was right, and whose code is still missing."""
    user = signed_in.account(database)
    with database.write() as connection:
        return signed_in.Cookie(sessions.begin(connection, user.id, "127.0.0.1", "a browser", False, now()))


def every_page(database: Database):
    app = create_app(Settings(), database)
    app.extensions["live"].close()
    return pages(app)


def test_a_page_that_nobody_named_is_found():
    app = Flask("another")
    app.add_url_rule("/new", "web.new.show_new", lambda: "")
    with pytest.raises(KeyError, match=r"web\.new\.show_new"):
        pages(app)


def test_every_page_lets_everybody_in(browser, world):
    axe = TOOLS / "npm" / AXE
    if not axe.is_file():
        pytest.skip("axe-core is not there: python -m tools setup --for test")
    source = axe.read_text(encoding="utf-8")
    (database, full), (_, empty) = world
    visits = [visit for found in every_page(database).values() for visit in found]
    assert {visit.name for visit in visits} >= {visit.name for found in VISITS.values() for visit in found}
    cookies = {"admin": signed_in.cookie(database, "admin"), "half": half_signed_in(database), "nobody": None}
    wrong = []
    for who in ("nobody", "half", "admin"):
        for visit in (one for one in visits if one.who == who):
            server = empty if visit.name == "welcome" else full
            browser.visit(server.url, cookies[who])
            for size, scheme in LOOKS:
                wrong += [f"{visit.name}, {scheme}: {text}" for text in look(browser, visit, size, scheme, source)]
    browser.driver.get("about:blank")
    assert wrong == [], "\n".join(wrong)


def look(browser, visit, size, scheme, axe):
    browser.look(size, scheme)
    browser.driver.get(browser.url + visit.path)
    browser.settled()
    if "/sign-in" in browser.driver.current_url and visit.who == "admin":
        yield "it is not the page, but the sign-in"
    # What is folded away is part of the page, too.
    browser.run("document.querySelectorAll('details').forEach(part => { part.open = true })")
    if size == PHONE:
        if (width := browser.run("document.documentElement.scrollWidth")) > PHONE[0]:
            yield f"scrolls sideways: {width} px"
        yield from browser.run(SMALL, TARGET)
    # By the debugger: the page's own policy would not let a script of ours in.
    browser.command("Runtime.evaluate", expression=axe)
    wait_for(lambda: browser.run("typeof axe") == "object", "axe")
    found = browser.wait(FINDINGS)
    yield from found if isinstance(found, list) else [found]
    # There is no S3 here, and the archive page says so; [DOM] are hints on forms, no errors.
    yield from (text for text in browser.complaints() if "/archive/seals" not in text and "[DOM]" not in text)
