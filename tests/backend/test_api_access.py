"""Every endpoint of the API for every role, and for a device of a foreign place. A new endpoint cannot be left out:
the table is app.url_map, and an endpoint of it that EXPECTED does not name fails the test."""

import pytest

from backend.accounts.actor import Role
from backend.alerts import rules
from backend.alerts.rule import Rule
from backend.app import create_app
from backend.database import Database
from backend.settings import Settings
from tests import signed_in
from tests.rows import Rows, now

HOME, AWAY = "kitchen", "cellar"
STREAM = "9f3a1c02"
# endpoint → (least role or None for all, is it about one device's things). `api.` goes before each.
EXPECTED = {
    "devices.list_devices": (Role.VIEWER, False),
    "devices.show_device": (Role.VIEWER, True),
    "devices.change_device": (Role.OPERATOR, True),
    "device_settings.show_settings": (Role.VIEWER, True),
    "device_settings.want_settings": (Role.OPERATOR, True),
    "channels.show_channel": (Role.VIEWER, True),
    "channels.show_series": (Role.VIEWER, True),
    "channels.list_calibrations": (Role.VIEWER, True),
    "channels.calibrate": (Role.OPERATOR, True),
    "readings.of_channel": (Role.VIEWER, True),
    "readings.of_device": (Role.VIEWER, True),
    "telemetry.take_readings": (Role.OPERATOR, True),
    "trace.show_trace": (Role.VIEWER, True),
    "ledger.show_ledger": (Role.VIEWER, False),
    "events.stream_events": (Role.VIEWER, False),
    "rules.list_rules": (Role.VIEWER, False),
    "rules.show_rule": (Role.VIEWER, True),
    "rules.add_rule": (Role.OPERATOR, False),
    "rules.change_rule": (Role.OPERATOR, True),
    "rules.remove_rule": (Role.OPERATOR, True),
    "rules.preview_rule": (Role.VIEWER, False),
    "targets.list_targets": (Role.OPERATOR, False),
    "targets.show_target": (Role.OPERATOR, False),
    "targets.add_target": (Role.OPERATOR, False),
    "targets.remove_target": (Role.OPERATOR, False),
    "targets.test_target": (Role.OPERATOR, False),
    "episodes.list_episodes": (Role.VIEWER, False),
    "episodes.show_episode": (Role.VIEWER, True),
    "episodes.acknowledge": (Role.OPERATOR, True),
    "episodes.snooze": (Role.OPERATOR, True),
    "archive.list_objects": (Role.VIEWER, False),
    "archive.show_object": (Role.VIEWER, False),
    "archive.download": (Role.VIEWER, False),
    "archive.verify": (Role.VIEWER, False),
    "auth.issue_token": (None, False),
    "auth.refresh_token": (None, False),
    "auth.revoke_token": (None, False),
    "users.list_users": (Role.ADMIN, False),
    "users.show_user": (Role.ADMIN, False),
    "users.add_user": (Role.ADMIN, False),
    "users.change_user": (Role.ADMIN, False),
    "users.remove_user": (Role.ADMIN, False),
    "keys.list_keys": (Role.VIEWER, False),
    "keys.show_key": (Role.VIEWER, False),
    "keys.add_key": (Role.VIEWER, False),
    "keys.revoke_key": (Role.VIEWER, False),
    "openapi.show_openapi": (None, False),
}
BODIES = {
    "devices.change_device": {"label": "x"},
    "device_settings.want_settings": {"interval": 30},
    "channels.calibrate": {"offset": 1},
    "telemetry.take_readings": {"v": 1, "stream": STREAM, "gap": [90, 91], "cause": "flash-full"},
    "rules.change_rule": {"name": "x"},
    "episodes.snooze": {"until": 1},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('access')}/t.db")
    database.migrate()
    rows = Rows(database)
    for name, place in (("home", HOME), ("away", AWAY)):
        rows.device(name, stream=STREAM)
        rows.set_device(name, place=place)
        channel = rows.channel(name)
        rows.readings(channel, [(now(), 4.5)])
        with database.write() as connection:
            rule = rules.add_rule(connection, name, channel, Rule("high", 3.0), ())
            connection.exec_driver_sql(
                "INSERT INTO episodes (rule_id, start, raised, noticed_at, snoozes, reminded)"
                " VALUES (?, 1, 1, 1, 0, 0)",
                (rule,),
            )
    app = create_app(Settings(password_memory=8, api_rate=0), database)
    yield app
    app.extensions["live"].close()
    database.close()


@pytest.fixture(scope="module")
def clients(app):
    return {role: signed_in.client(app, role.word, {HOME} if role is not Role.ADMIN else None) for role in Role}


def api_rules(app):
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]


def ask(client, rule, number=1, device="home"):
    """number: the id of whatever the endpoint is about; 1 belongs to "home", 2 to "away"."""
    values = {name: number for name in rule.arguments} | {"name": device, "stream": STREAM, "seq": 1}
    path = rule.rule
    for name in rule.arguments:
        path = path.replace(f"<int:{name}>", str(values[name])).replace(f"<{name}>", str(values[name]))
    method = next(iter(rule.methods - {"HEAD", "OPTIONS"}))
    endpoint = rule.endpoint.removeprefix("api.")
    json = BODIES.get(endpoint, {}) if method in ("POST", "PUT", "PATCH") else None
    headers = {} if method == "GET" else {"If-Match": "*"}
    return client.open(path, method=method, json=json, headers=headers, buffered=False)


def status(client, rule, **about):
    answer = ask(client, rule, **about)
    answer.close()
    return answer.status_code


def test_the_table_names_every_endpoint(app):
    assert {rule.endpoint.removeprefix("api.") for rule in api_rules(app)} == set(EXPECTED)


def test_without_credentials_only_what_is_open(app):
    stranger = app.test_client()
    for rule in api_rules(app):
        least, _ = EXPECTED[rule.endpoint.removeprefix("api.")]
        assert (status(stranger, rule) == 401) == (least is not None) or least is None, rule


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_it_may_and_nothing_more(app, clients, role):
    for rule in api_rules(app):
        least, _ = EXPECTED[rule.endpoint.removeprefix("api.")]
        if least is not None and role < least:
            assert status(clients[role], rule) == 403, rule


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_foreign_device_is_not_there(app, clients, role):
    for rule in api_rules(app):
        least, of_device = EXPECTED[rule.endpoint.removeprefix("api.")]
        if of_device and role >= least:
            assert status(clients[role], rule, number=2, device="away") == 404, rule


def test_an_admin_gets_through_everywhere(app, clients):
    """What the others are refused is there: the table asks for the right things."""
    reading = [rule for rule in api_rules(app) if "GET" in rule.methods and EXPECTED[rule.endpoint[4:]][1]]
    assert len(reading) >= 8
    for rule in reading:
        assert status(clients[Role.ADMIN], rule, number=2, device="away") == 200, rule


def test_lists_hold_only_what_may_be_seen(clients):
    viewer = clients[Role.VIEWER]
    assert [one["name"] for one in viewer.get("/api/v1/devices").json["devices"]] == ["home"]
    assert {one["device"] for one in viewer.get("/api/v1/ledger").json["streams"]} == {"home"}
    assert {one["device"] for one in viewer.get("/api/v1/rules").json["rules"]} == {"home"}
    assert {one["device"] for one in viewer.get("/api/v1/episodes").json["episodes"]} == {"home"}
    assert viewer.get("/api/v1/archive/objects").status_code == 403


def test_a_page_of_another_site_changes_nothing(app, clients):
    client = signed_in.operator(app)
    client.csrf = False
    answer = client.patch("/api/v1/devices/home", json={"label": "x"}, headers={"If-Match": "*"})
    assert answer.status_code == 403
