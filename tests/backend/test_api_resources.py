"""The API's resources: exports, telemetry by HTTP, conditions, idempotency, pages; signed in as somebody who may."""

import base64
import csv
import hashlib
import io
import json
import re
import time

import pytest

from backend.accounts.actor import SCOPES
from backend.api import reference
from backend.app import create_app
from backend.archive import Archive
from backend.objects import ObjectStore
from backend.parquet import decode
from backend.settings import Settings
from tests import signed_in
from tests.rows import Rows

pytestmark = pytest.mark.sqlite_only

DEVICE, STREAM = "fridge-1", "9f3a1c02"
HOSTILE = '=HYPERLINK("http://evil","x")'


@pytest.fixture(scope="module")
def store(s3):
    store = ObjectStore(Settings())
    store.create_bucket()
    return store


@pytest.fixture
def app(database, store):
    app = create_app(Settings(password_memory=8, api_rate=0), database)
    yield app
    app.extensions["live"].close()


@pytest.fixture
def client(app):
    return signed_in.admin(app)


@pytest.fixture
def t():
    return time.time_ns() // 1_000_000 - 10_000


@pytest.fixture
def channel(database, t):
    rows = Rows(database)
    rows.device(DEVICE, stream=STREAM)
    found = rows.channel(DEVICE)
    rows.readings(found, [(t + i, "crc" if i == 3 else float(i)) for i in range(10)])
    return found


def telemetry(first, values, stream=STREAM):
    rows = [[1000 * i, 0, value] for i, value in enumerate(values)]
    return {
        "v": 1, "stream": stream, "seq": first, "t": 1763812345000, "tq": "ntp", "ch": [["probe", "Cel"]], "r": rows,
    }  # fmt: skip


def lines(answer):
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))


class TestReadings:
    def test_pages_hold_each_reading_once(self, client, channel):
        path, seqs = f"/api/v1/devices/{DEVICE}/readings?limit=4", []
        while path:
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            seqs += [one["seq"] for one in answer.json["readings"]]
            link = answer.headers.get("Link", "")
            assert bool(link) == bool(answer.json["next"])
            path = link[1 : link.index(">")] if link else None
        assert seqs == list(range(1, 11))

    def test_csv_in_fahrenheit_and_local_time(self, client, channel):
        answer = client.get(f"/api/v1/channels/{channel}/readings?format=csv&unit=F&tz=Europe/Berlin")
        found = lines(answer)
        assert [row["value"] for row in found][:4] == ["32.0", "33.8", "35.6", ""]
        assert found[3]["fault"] == "crc" and found[0]["unit"] == "degF"
        assert found[0]["utc"].endswith("Z") and found[0]["local"][-6:] in ("+01:00", "+02:00")
        assert answer.mimetype == "text/csv" and ".csv" in answer.headers["Content-Disposition"]

    def test_the_other_forms(self, client, channel, t):
        def get(media):
            return client.get(f"/api/v1/devices/{DEVICE}/readings", headers={"Accept": media})

        ndjson = [json.loads(line) for line in get("application/x-ndjson").text.splitlines()]
        assert [one["seq"] for one in ndjson] == list(range(1, 11))
        senml = get("application/senml+json").get_json(force=True)
        assert (senml[0]["bn"] + senml[0]["n"], senml[0]["u"], senml[0]["v"]) == (
            f"thermograph/{DEVICE}/28ff641e8216c3a1/Cel", "Cel", 0.0,
        )  # fmt: skip
        assert senml[3]["vs"] == "crc" and senml[0]["t"] == t / 1000
        assert len(decode(get("application/vnd.apache.parquet").data)[0]) == 10
        assert get("text/html").status_code == 406

    @pytest.mark.parametrize("form", ["csv", "ndjson", "senml", "parquet", "json"])
    def test_nothing_is_a_whole_answer_too(self, client, channel, form):
        answer = client.get(f"/api/v1/channels/{channel}/readings?format={form}&since=1&until=2")
        assert answer.status_code == 200
        if form == "senml":
            assert answer.get_json(force=True) == []

    @pytest.mark.parametrize("query", ["tz=../../etc/passwd&format=csv", "tz=America&format=csv", "unit=K",
                                       "unit=F&format=senml", "limit=0", "cursor=x", "cursor=WzFd", "since=2&until=1",
                                       "since=0&until=253402300799999"])  # fmt: skip
    def test_what_makes_no_sense_is_said(self, client, channel, query):
        answer = client.get(f"/api/v1/channels/{channel}/readings?{query}")
        assert answer.status_code == 400 and answer.mimetype == "application/problem+json"

    def test_hostile_names_are_inert(self, client, channel, database):
        Rows(database).set_device(DEVICE, label=HOSTILE, note="<script>alert(1)</script>")
        assert lines(client.get(f"/api/v1/devices/{DEVICE}/readings?format=csv"))[0]["label"] == "'" + HOSTILE
        shown = client.get(f"/api/v1/devices/{DEVICE}")
        assert shown.mimetype == "application/json" and shown.headers["X-Content-Type-Options"] == "nosniff"
        senml = client.get(f"/api/v1/devices/{DEVICE}/readings?format=senml").get_json(force=True)
        assert HOSTILE not in json.dumps(senml)

    def test_what_left_sql_comes_from_the_archive(self, client, channel, database, store, t):
        archive = Archive(database, store, rows=1, age=0.001, hot_days=1)
        rows = Rows(database)
        old = t - 40 * 86_400_000
        rows.readings(channel, [(old + i, 50.0 + i) for i in range(5)])
        while archive.freeze():
            pass
        archive.upload()
        assert archive.drop() == 5
        found = client.get(f"/api/v1/channels/{channel}/readings?since={old}&until={old + 1000}").json["readings"]
        assert [one["value"] for one in found] == [50.0, 51.0, 52.0, 53.0, 54.0]
        series = client.get(f"/api/v1/channels/{channel}/series?since={old}&until={old + 1000}&buckets=10").json
        assert sum(bucket["values"] for bucket in series["buckets"]) == 5
        trace = client.get(f"/api/v1/devices/{DEVICE}/streams/{STREAM}/readings/11/trace").json
        assert trace["state"] == "archived" and trace["sampled"]["value"] == 50.0
        body = client.get(f"/api/v1/archive/objects/{trace['archived']['object']}/content")
        assert hashlib.sha256(body.data).hexdigest() == trace["archived"]["sha256"]
        digest = base64.b64encode(hashlib.sha256(body.data).digest()).decode()
        assert body.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        assert client.post(f"/api/v1/archive/objects/{trace['archived']['object']}/verification").json["ok"] is True


def test_a_trace_from_the_pin_to_what_waits(client, channel, t):
    path = f"/api/v1/devices/{DEVICE}/streams/{STREAM}/readings"
    found = client.get(f"{path}/2/trace").json
    assert (found["state"], found["sampled"]["t"], found["sampled"]["value"]) == ("committed", t + 1, 1.0)
    assert found["received"]["t"] and found["archived"] is None
    assert client.get(f"{path}/11/trace").status_code == 404


class TestTelemetry:
    @pytest.fixture
    def send(self, app, database, channel):
        key = signed_in.key(database, "operator", ["readings:write"])

        def send(body, device=DEVICE):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Authorization": f"Bearer {key}"}
            return app.test_client().post(
                f"/api/v1/devices/{device}/readings", data=data, headers=headers, content_type="application/json"
            )

        return send

    def test_the_answer_is_the_ack_and_twice_is_once(self, send, client):
        for _ in range(2):
            assert send(telemetry(11, [1.0, 2.0])).json == {"stream": STREAM, "seq": 12}
        assert client.get("/api/v1/ledger").json["stored"] == 12

    def test_it_never_acknowledges_over_a_hole(self, send):
        assert send(telemetry(13, [1.0])).json == {"stream": STREAM, "seq": 10}
        assert send({"v": 1, "stream": STREAM, "gap": [11, 12], "cause": "flash-full"}).json["seq"] == 13

    def test_what_is_refused_is_kept_and_accounted_for(self, send, client):
        answer = send(telemetry(11, [-400.0]))
        assert answer.status_code == 422 and "absolute zero" in answer.json["detail"]
        assert answer.json["ack"] == {"stream": STREAM, "seq": 11}
        assert client.get("/api/v1/ledger").json["lost"] == 1
        assert send(b"{").status_code == 422
        assert send(b"x" * 70_000).status_code == 422

    def test_a_device_that_nobody_enrolled(self, send):
        assert send(telemetry(1, [1.0]), "stranger").status_code == 422
        assert send(telemetry(1, [1.0]), "No Name").status_code == 404

    def test_a_key_without_the_scope_or_the_place(self, app, database, channel):
        path, body = f"/api/v1/devices/{DEVICE}/readings", telemetry(11, [1.0])
        for key, status in (
            (signed_in.key(database, "operator", ["readings:read"]), 403),
            (signed_in.key(database, "operator", ["readings:write"], {"elsewhere"}), 404),
        ):
            answer = app.test_client().post(path, json=body, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status


class TestChanges:
    def test_a_change_needs_what_it_is_based_on(self, client, channel, database, t):
        path = f"/api/v1/devices/{DEVICE}"
        tag = client.get(path).headers["ETag"]
        assert client.patch(path, json={"label": "Fridge"}).status_code == 428
        # A reading that came in between is no conflict, another change is.
        Rows(database).readings(channel, [(t + 5000, 4.0)])
        changed = client.patch(path, json={"label": "Fridge"}, headers={"If-Match": tag})
        assert changed.json["device"]["label"] == "Fridge"
        assert client.patch(path, json={"place": "x"}, headers={"If-Match": tag}).status_code == 412
        assert client.get(path, headers={"If-None-Match": changed.headers["ETag"]}).status_code == 304

    @pytest.mark.parametrize("body", [{"label": 5}, {"label": "a\nb"}, {"nobody": 1}, {"label": "\x00"}, [], "x",
                                      {"label": "x" * 121}])  # fmt: skip
    def test_what_cannot_be(self, client, channel, body):
        answer = client.patch(f"/api/v1/devices/{DEVICE}", json=body, headers={"If-Match": "*"})
        assert answer.status_code == 422, answer.text

    def test_media_types(self, client, channel):
        path = f"/api/v1/devices/{DEVICE}"
        assert client.patch(path, data="x", content_type="text/plain", headers={"If-Match": "*"}).status_code == 415
        assert client.patch(path, data="{", content_type="application/json").status_code == 400
        assert client.get(path, headers={"Accept": "text/html"}).status_code == 406

    def test_settings_are_wanted_with_a_revision(self, client, channel):
        path = f"/api/v1/devices/{DEVICE}/settings"
        tag = client.get(path).headers["ETag"]
        made = client.put(path, json={"interval": 30, "send": {"every": 10}}, headers={"If-Match": tag})
        assert (made.json["revision"], made.json["wanted"]["interval"]) == (1, 30), made.text
        assert client.put(path, json={"interval": 0}, headers={"If-Match": "*"}).status_code == 422
        assert client.put(path, json={}, headers={"If-Match": tag}).status_code == 412

    def test_rules(self, client, channel):
        wanted = {"name": "warm", "channel": channel, "rule": {"kind": "high", "limit": 3}}
        tried = client.post("/api/v1/rules/preview", json={"channel": channel, "rule": wanted["rule"]})
        assert "Would have fired once" in tried.json["sentence"], tried.text
        made = client.post("/api/v1/rules", json=wanted)
        path = made.headers["Location"]
        tag = client.get(path).headers["ETag"]
        changed = client.patch(path, json={"rule": {"limit": 8.5}}, headers={"If-Match": tag})
        assert (changed.json["rule"]["limit"], changed.json["rule"]["kind"], changed.json["name"]) == (
            8.5,
            "high",
            "warm",
        )
        assert client.delete(path, headers={"If-Match": tag}).status_code == 412
        assert client.delete(path, headers={"If-Match": changed.headers["ETag"]}).status_code == 204
        assert client.get(path).status_code == 404

    def test_calibration_is_a_revision(self, client, channel):
        path = f"/api/v1/channels/{channel}/calibrations"
        assert client.post(path, json={"offset": -0.5}).json["revision"] == 1
        assert [one["offset"] for one in client.get(path).json["calibrations"]] == [-0.5]
        (first, *_) = client.get(f"/api/v1/channels/{channel}/readings").json["readings"]
        assert (first["value"], first["measured"], first["calibration"]) == (-0.5, 0.0, 1)


class TestIdempotency:
    def test_twice_is_once(self, client, channel):
        path, headers = f"/api/v1/channels/{channel}/calibrations", {"Idempotency-Key": "a-1"}
        first = client.post(path, json={"offset": 1}, headers=headers)
        again = client.post(path, json={"offset": 1}, headers=headers)
        assert (again.status_code, again.json) == (first.status_code, first.json) == (201, first.json)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert client.post(path, json={"offset": 2}, headers=headers).status_code == 422
        assert len(client.get(path).json["calibrations"]) == 1

    def test_a_key_belongs_to_its_account(self, app, client, channel):
        path, headers = f"/api/v1/channels/{channel}/calibrations", {"Idempotency-Key": "a-1"}
        client.post(path, json={"offset": 1}, headers=headers)
        other = signed_in.operator(app).post(path, json={"offset": 2}, headers=headers)
        assert other.json["revision"] == 2

    def test_a_secret_is_not_kept(self, client, database):
        wanted, headers = {"name": "mine", "scopes": ["readings:read"]}, {"Idempotency-Key": "k"}
        made = client.post("/api/v1/keys", json=wanted, headers=headers)
        assert made.status_code == 201, made.text
        assert client.post("/api/v1/keys", json=wanted, headers=headers).status_code == 409
        with database.read() as connection:
            kept = connection.exec_driver_sql("SELECT * FROM answered_requests").all()
        assert made.json["key"] not in str(kept)

    def test_a_refusal_is_not_kept(self, client, channel):
        headers = {"Idempotency-Key": "b"}
        assert client.post("/api/v1/rules", json={}, headers=headers).status_code == 422
        wanted = {"name": "warm", "channel": channel, "rule": {"kind": "high", "limit": 3}}
        assert client.post("/api/v1/rules", json=wanted, headers=headers).status_code == 201


def test_metrics_are_for_this_machine_and_for_keys(app, database, channel):
    client = app.test_client()
    assert "thermograph_readings_stored 10.0" in client.get("/metrics").text
    away = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/metrics", environ_overrides=away).status_code == 401
    for scope, status in (("metrics:read", 200), ("readings:read", 403)):
        key = signed_in.key(database, "viewer", [scope])
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/metrics", environ_overrides=away, headers=headers).status_code == status


def test_accounts_and_keys(client, database):
    made = client.post("/api/v1/users", json={"name": "ann", "role": "viewer", "password": "correct horse battery"})
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    tag = client.get(path).headers["ETag"]
    changed = client.patch(path, json={"places": ["kitchen"]}, headers={"If-Match": tag})
    assert changed.json["places"] == ["kitchen"]
    assert client.delete(path, headers={"If-Match": changed.headers["ETag"]}).status_code == 204


def test_a_key_gives_no_scope_that_it_has_not(app, database):
    key = signed_in.key(database, "admin", ["accounts:write", "accounts:read"])
    answer = app.test_client().post(
        "/api/v1/keys",
        json={"name": "more", "scopes": sorted(SCOPES)},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 403


def test_the_docs_page_shows_every_operation_and_shape_and_loads_nothing_from_elsewhere(client):
    page = client.get("/api/docs")
    assert page.status_code == 200 and "Sign out" in page.text
    assert not re.findall(r"(?:src|href)=.(?:https?:)?//", page.text)
    document = client.get("/api/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        assert f"<code>{path}</code>" in page.text
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in page.text
            assert not operation["tags"][0].startswith("Api.")
    for name in document["components"]["schemas"]:
        assert f'id="shape-{name}"' in page.text
    for name in re.findall(r'href="#([^"]+)"', page.text):
        assert f'id="{name}"' in page.text, name
    change = "curl -X PATCH -H &#34;Authorization: Bearer $KEY&#34; -H &#39;If-Match: &#34;...&#34;&#39;"
    typed = "-H &#39;Content-Type: application/json&#39; -d @body"
    assert f"{change} {typed} http://localhost/api/v1/rules/1<" in page.text


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 500}, "integer from 1 to 500"),
        ({"type": "integer", "maximum": 2**53}, "integer"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": ["high", "low", None]}, "high, low or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/RuleShape"}}, "list of RuleShape"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or null"),
        ({}, "anything"),
    ],
)
def test_a_type_in_words(schema, words):
    assert reference.kind(schema) == words
