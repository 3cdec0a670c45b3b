"""A world for each test, on SQLite and on PostgreSQL."""

import os

import pytest

from backend.run import micropython
from tests.browser import CHROMIUM, DRIVER, Browser
from tests.end_to_end.world import KEY, SECRET, World
from tests.servers import program


@pytest.fixture
def world(tmp_path, database_url, monkeypatch):
    for name in ("mosquitto", "weed"):
        if not program(name):
            pytest.skip(f"{name} is not installed: python -m tools setup --for test")
    if not micropython.find(os.environ):
        pytest.skip("MicroPython is not installed: python -m tools setup --for test")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    world = World(tmp_path / "world", database_url)
    try:
        world.start()
        yield world
    finally:
        world.close()


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a worker: to start one takes longer than most of them."""
    pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")
    if not (CHROMIUM and DRIVER):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    browser = Browser()
    yield browser
    browser.close()
