"""The API over Flask's test client and a real database file."""

import re

import pytest

from backend.app import create_app
from backend.database import Database
from backend.settings import Settings
from tests import signed_in
from tests.rows import Rows, now


@pytest.fixture
def rows(database):
    return Rows(database)


@pytest.fixture
def client(database):
    app = create_app(Settings(password_memory=8), database)
    yield signed_in.admin(app)
    app.extensions["live"].close()


@pytest.fixture
def channel(rows):
    rows.device()
    return rows.channel()


def is_problem(answer, status: int) -> bool:
    body = answer.get_json(force=True)
    assert answer.status_code == status == body["status"]
    assert answer.mimetype == "application/problem+json"
    assert body["detail"] and body["title"] and body["request_id"] == answer.headers["X-Request-ID"]
    return "Traceback" not in answer.text


def test_devices_with_newest_values_and_ledger(client, rows, channel):
    t = now()
    rows.readings(channel, [(t - 10_000, 4.25), (t, 4.5)])
    rows.gap(channel, 3)
    rows.set_stream(channel, sampled=9, archived=1)
    body = client.get("/api/v1/devices").get_json()
    (device,) = body["devices"]
    assert (device["name"], device["status"], device["enrolled"]) == ("fridge-1", "online", True)
    (found,) = device["channels"]
    assert (found["unit"], found["interval"], found["stale_after"]) == ("Cel", 10_000, 30_000)
    assert (found["newest"]["value"], found["newest"]["t"], found["newest"]["seq"]) == (4.5, t, 2)
    counts = {key: value for key, value in device["ledger"].items() if key != "streams"}
    assert counts == {
        "sampled": 9,
        "stored": 2,
        "archived": 1,
        "waiting_for_archive": 1,
        "waiting_on_device": 4,
        "lost": 3,
    }
    assert device["ledger"]["streams"][0]["gaps"] == [{"first": 3, "last": 5, "readings": 3, "cause": "flash-full"}]
    assert client.get("/api/v1/devices/fridge-1").get_json()["device"] == device
    assert client.get("/api/v1/ledger").get_json()["sampled"] == 9
    assert client.get("/api/v1/ledger?device=fridge-1").get_json()["lost"] == 3


def test_series_of_the_last_hour(client, rows, channel):
    t = now()
    rows.readings(channel, [(t - 4_000_000, 1.0), (t - 60_000, 2.0), (t, "crc")])
    body = client.get(f"/api/v1/channels/{channel}/series").get_json()
    assert [(bucket["mean"], bucket["faults"]) for bucket in body["buckets"]] == [(2.0, 0), (None, 1)]
    assert (body["device"], body["unit"], body["width"]) == ("fridge-1", "Cel", 10_000)


@pytest.mark.parametrize(
    "query",
    [
        "since=x",
        "since=-1",
        "until=1e3",
        "buckets=0",
        "buckets=5001",
        "since=5&until=5",
        "until=9999999999999999",
        "since=٣",
    ],
)
def test_series_refuses_what_makes_no_sense(client, channel, query):
    assert is_problem(client.get(f"/api/v1/channels/{channel}/series?{query}"), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/devices/none",
        "/api/v1/channels/99/series",
        "/api/v1/channels/99999999999999999999999/series",
        "/api/v1/ledger?device=none",
        "/api/v1/nothing",
    ],
)
def test_what_is_not_there_is_a_problem(client, path):
    assert is_problem(client.get(path), 404)


def test_a_wrong_method_names_the_right_ones(client):
    answer = client.post("/api/v1/devices")
    assert is_problem(answer, 405)
    assert "GET" in answer.headers["Allow"]


def test_a_request_keeps_a_decent_id_and_gets_one_otherwise(client):
    assert client.get("/healthz", headers={"X-Request-ID": "abc-12345"}).headers["X-Request-ID"] == "abc-12345"
    forged = client.get("/healthz", headers={"X-Request-ID": "a" * 500}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{16}", forged)


def test_health_and_readiness(client):
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert client.get("/readyz").get_json() == {"status": "ok", "commit": 0}


def test_without_its_database_it_lives_and_is_not_ready(tmp_path):
    folder = tmp_path / "not-a-database"
    folder.mkdir()
    client = create_app(Settings(), Database(f"sqlite:///{folder}")).test_client()
    assert client.get("/healthz").status_code == 200
    assert is_problem(client.get("/readyz"), 503)
    assert is_problem(client.get("/api/v1/devices"), 503)


def test_a_bug_is_a_problem_and_no_traceback(client, monkeypatch):
    def fail():
        raise ValueError("secret detail")

    client.application.view_functions["api.devices.list_devices"] = fail
    answer = client.get("/api/v1/devices")
    assert is_problem(answer, 500)
    assert "secret detail" not in answer.text
