"""The real server process: starts, streams, ends."""

import http.client
import json
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from backend.api.live import MOST_STREAMS
from backend.app import serve
from backend.database import Database
from backend.errors import PortBusy, SettingsError
from backend.settings import Settings
from tests import signed_in
from tests.rows import Rows, now
from tests.servers import Postgres, Server, program, wait_for

ROOT = Path(__file__).parents[2]
SERVE = (
    "import os; from backend.app import serve; from backend.settings import Settings; serve(Settings.read(os.environ))"
)


class Web(Server):
    """backend.app.serve in a process of its own."""

    def __init__(self, folder: Path, database_url: str) -> None:
        super().__init__(folder)
        self.settings = {"PYTHONPATH": ROOT, "THERMOGRAPH_DATABASE": database_url, "THERMOGRAPH_WEB_PORT": self.port}

    def sign_in(self, database: Database) -> None:
        """Give its readers an account."""
        self.cookie = signed_in.cookie(database)

    def command(self) -> list[str]:
        return ["env", *(f"{name}={value}" for name, value in self.settings.items()), sys.executable, "-c", SERVE]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


class Reader:
    """An event stream's reader. events: (id or None, name, data) as they came; ended: the server closed it."""

    def __init__(self, web: Web, since: str = "", last_event_id: str = "") -> None:
        self.events: list[tuple] = []
        self.ended = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
        headers = {**web.cookie.header, **({"Last-Event-ID": last_event_id} if last_event_id else {})}
        self._connection.request("GET", f"/api/v1/events?since={since}", headers=headers)
        self.answer = self._connection.getresponse()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        for line in iter(self.answer.readline, b""):
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = text
            elif "event" in fields:
                self.events.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
                fields = {}
        self._connection.close()
        self.ended.set()

    def changes(self) -> list[tuple]:
        return [(identity, data) for identity, name, data in list(self.events) if name == "change"]

    def values(self) -> list[float]:
        return [
            channel["newest"]["value"]
            for _, data in self.changes()
            for device in data["devices"]
            for channel in device["channels"]
        ]

    def hears(self, name: str) -> bool:
        return any(event == name for _, event, _ in list(self.events))


def get(web: Web, path: str):
    return urllib.request.urlopen(urllib.request.Request(web.url + path, headers=web.cookie.header), timeout=5)  # noqa: S310


@pytest.fixture
def web(tmp_path, database, database_url):
    server = Web(tmp_path / "web", database_url)
    server.sign_in(database)
    server.start()
    yield server
    server.close()


def test_a_reading_is_told_at_once_and_the_commits_number_when_all_of_it_is_known(web, rows, channel):
    reader = Reader(web)
    assert reader.answer.getheader("Content-Type").startswith("text/event-stream")
    wait_for(reader.changes, "first state")
    number = rows.readings(channel, [(now(), 21.4375)])
    wait_for(lambda: 21.4375 in reader.values(), "the reading")
    wait_for(lambda: reader.changes()[-1][0] == str(number), "the commit's number")
    told = [change for _, change in reader.changes() if change["devices"]]
    assert told[-1]["devices"][0]["ledger"]["stored"] == 1


def test_what_changes_without_a_reading_is_told(web, rows, channel):
    reader = Reader(web)
    wait_for(reader.changes, "first state")
    rows.set_device("fridge-1", status="offline")
    wait_for(lambda: len(reader.changes()) > 1, "the change")
    assert reader.changes()[-1][1]["devices"][0]["status"] == "offline"


def test_only_the_devices_that_changed_are_told(web, rows, channel):
    rows.device("attic", stream="00000001")
    reader = Reader(web)
    wait_for(reader.changes, "first state")
    assert len(reader.changes()[0][1]["devices"]) == 2
    rows.readings(channel, [(now(), 1.0)])
    wait_for(lambda: len(reader.changes()) > 1, "the change")
    assert [device["name"] for device in reader.changes()[1][1]["devices"]] == ["fridge-1"]


def test_who_knows_everything_is_told_nothing_and_who_knows_less_the_rest(web, rows, channel):
    number = rows.readings(channel, [(now(), 1.0)])
    first = Reader(web, last_event_id=str(number - 1), since=str(number))
    wait_for(first.changes, "what was missed")
    assert first.values() == [1.0]
    knows = Reader(web, since=str(number))
    wait_for(lambda: knows.hears("heartbeat"), "heartbeat")
    time.sleep(0.5)
    assert knows.changes() == []
    rows.readings(channel, [(now(), 2.0)])
    wait_for(knows.changes, "the next reading")
    assert knows.values() == [2.0]


def test_a_killed_server_is_resumed_where_it_was(web, rows, channel):
    rows.readings(channel, [(now(), 1.0)])
    reader = Reader(web)
    wait_for(reader.changes, "first state")
    known = reader.changes()[-1][0]
    web.kill()
    rows.readings(channel, [(now(), 2.0)])
    web.start()
    resumed = Reader(web, last_event_id=known)
    wait_for(resumed.changes, "what was missed")
    assert resumed.values() == [2.0]


def test_a_cursor_of_another_database_is_told_everything(web, rows, channel):
    reader = Reader(web, since="99999")
    wait_for(reader.changes, "all devices")
    assert len(reader.changes()[0][1]["devices"]) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_end_with_the_server(web, channel, number):
    readers = [Reader(web) for _ in range(20)]
    for reader in readers:
        wait_for(reader.changes, "first state")
    started = time.monotonic()
    web.process.send_signal(number)
    assert web.process.wait(10) == 0
    assert time.monotonic() - started < 4
    for reader in readers:
        assert reader.ended.wait(2)
    log = (web.folder / "log").read_text()
    assert "Traceback" not in log and "still running" not in log


def test_many_streams_leave_room_for_pages(web, rows, channel):
    readers = [Reader(web) for _ in range(MOST_STREAMS)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(web, "api/v1/events")
    with refused.value as answer:
        assert answer.status == 503 and answer.headers["Retry-After"]
    with get(web, "api/v1/devices") as answer:
        assert answer.status == 200
    rows.readings(channel, [(now(), 7.0)])
    for reader in readers:
        wait_for(lambda reader=reader: 7.0 in reader.values(), "the reading in every stream")


@pytest.fixture
def mortal():
    """A PostgreSQL that the test may kill."""
    if not program("postgres"):
        pytest.skip("PostgreSQL is not installed: python -m tools setup --for test")
    with Postgres.running() as server:
        yield server


def test_a_stream_outlives_its_database(tmp_path, mortal):
    url = mortal.new_database("live")
    database = Database(url)
    database.migrate()
    rows = Rows(database)
    rows.device()
    channel = rows.channel()
    web = Web(tmp_path / "web", url)
    web.sign_in(database)
    web.start()
    try:
        reader = Reader(web)
        wait_for(reader.changes, "first state")
        mortal.kill()
        wait_for(lambda: reader.hears("database"), "word that the database is away")
        mortal.start()
        wait_for(lambda: reader.events[-1][1:] and reader.events[-1][2].get("available") is True, "word of its return")
        rows.readings(channel, [(now(), 3.0)])
        wait_for(lambda: 3.0 in reader.values(), "the reading after it")
        assert not reader.ended.is_set()
    finally:
        web.close()
        database.close()


def test_tables_of_another_release_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="migrate"):
        serve(Settings(database=f"sqlite:///{tmp_path}/empty.db"))


def test_a_taken_port_is_named(tmp_path):
    url = f"sqlite:///{tmp_path}/t.db"
    database = Database(url)
    database.migrate()
    database.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy, match=str(port)):
            serve(Settings(database=url, web_port=port))
