"""Live pages hear of commits: by PostgreSQL's word or by asking; several web processes see each other's."""

import json
import threading
import time

import pytest

from backend import commit_signal
from backend.api import live
from backend.commit_signal import Listening, Polling
from backend.database import Database
from tests.servers import wait_for

LONG = 60.0


@pytest.fixture
def listening(database):
    if database.is_sqlite:
        pytest.skip("SQLite tells nobody")
    signal = commit_signal.choose(database)
    wait_for(lambda: signal.wait(threading.Event(), 0.01) or signal._listener, "listener")
    yield signal
    signal.close()


def test_only_postgresql_tells(database):
    assert isinstance(commit_signal.choose(database), Polling if database.is_sqlite else Listening)


def test_a_commit_is_told_at_once_and_a_rollback_never(listening, rows):
    never = threading.Event()
    with pytest.raises(ZeroDivisionError), rows.database.write() as connection:
        rows._number(connection)
        raise ZeroDivisionError
    assert not listening.wait(never, 0.5)
    rows.device()
    assert listening.wait(never, LONG)


def test_a_commit_between_two_looks_is_not_missed(listening, rows):
    never = threading.Event()
    rows.device()
    rows.channel()
    rows.device("other", stream="00000002")
    assert listening.wait(never, LONG)
    # One look answers all that were told of by then; the word of the last may come after it, but no word comes twice.
    assert not all(listening.wait(never, 0.5) for _ in range(3))


def test_stopping_ends_the_wait(listening):
    stopping = threading.Event()
    stopping.set()
    began = time.monotonic()
    assert not listening.wait(stopping, LONG)
    assert time.monotonic() - began < LONG / 2


def test_a_broken_listener_polls_and_comes_back(listening, rows):
    never = threading.Event()
    with rows.database.write() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
        )
    wait_for(lambda: not listening.wait(never, 1) and listening._listener is None, "break of the connection")
    wait_for(lambda: listening.wait(never, 0.01) or listening._listener, "new listener")
    rows.device()
    assert listening.wait(never, LONG)


def test_one_that_hears_nothing_of_commits_polls(listening):
    for _ in range(commit_signal.MISSED):
        listening.missed()
    assert listening._listener is None
    # Not at once again: whatever stands between will be there for a while.
    assert not listening.wait(threading.Event(), 0.01) and listening._listener is None


def test_two_web_processes_see_each_others_commits(database, rows, channel):
    """Two processes' worth of everything: engine, watcher and listener of their own."""
    databases = [Database(database.engine.url.render_as_string(hide_password=False)) for _ in range(2)]
    pages = [live.Live(each) for each in databases]
    told = [[], []]

    def follow(page, news):
        for one in page.follow(-1):
            if one is not None:
                news.append(one)

    readers = []
    for page, news in zip(pages, told, strict=True):
        assert page.open_stream()
        readers.append(threading.Thread(target=follow, args=(page, news)))
        readers[-1].start()
    for value in (4.5, 5.5, 6.5):
        rows.readings(channel, [(1_763_812_345_000 + int(value * 1000), value)])
        for news in told:
            wait_for(lambda news=news, value=value: value in values(news), f"{value} in both")
    for page, each, reader in zip(pages, databases, readers, strict=True):
        page.close()
        reader.join()
        page.close_stream()
        each.close()


def values(news):
    return [
        channel["newest"]["value"]
        for one in news
        for device in json.loads(one.told(None))
        for channel in device["channels"]
        if channel["newest"]
    ]
