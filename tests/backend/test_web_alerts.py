"""The pages of alerts, archive and reports as a browser without scripts has them: forms, roles, places, the log."""

import csv
import io

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from backend.__main__ import main
from backend.accounts.tables import AuditRow
from backend.alerts import episode_log, rules, targets
from backend.alerts.engine import Engine
from backend.app import create_app
from backend.hot_window import day_of
from backend.models import Device
from backend.settings import Settings
from backend.temperature import shown
from tests import signed_in
from tests.backend.archive_parts import archive_all
from tests.backend.test_alerts_engine import WARM, minutes
from tests.rows import now

MINUTE = 60_000
pytestmark = pytest.mark.sqlite_only

FORM = {
    "name": "Fridge too warm",
    "kind": "high",
    "limit": "8",
    "clear": "0.5",
    "duration": "2 min",
    "hold": "15 min",
    "severity": "critical",
}


@pytest.fixture
def app(database, store):
    app = create_app(Settings(s3_bucket=store.bucket), database)
    yield app
    app.extensions["live"].close()


def audited(database):
    with database.read() as connection:
        return list(connection.scalars(select(AuditRow.action).order_by(AuditRow.id)))


def test_a_rule_from_the_editor_to_an_acknowledged_episode(app, database, rows, channel):
    client = signed_in.operator(app)
    rows.readings(channel, minutes(5, 9, 9.5, 9, 9, start=now() - 10 * MINUTE))
    form = {**FORM, "subject": f"channel:{channel}"}
    told = client.get("/alerts/rules/preview", query_string=form).get_json()
    assert told["sentence"] == "above 8 °C for 2 min" and "Would have fired once" in told["preview"]
    assert "Would have fired once" in client.post("/alerts/rules/new", data={**form, "act": "try"}).text
    assert client.post("/alerts/rules/new", data=form).status_code == 303
    with database.read() as connection:
        (rule,) = rules.rules(connection)
    page = client.get(f"/alerts/rules/{rule.id}").text
    assert 'value="Fridge too warm"' in page and 'value="2 min"' in page
    Engine(database).round(now())
    page = client.get("/alerts").text
    assert "Fridge too warm is wrong" in page and "Acknowledge" in page
    with database.read() as connection:
        (episode,) = episode_log.episodes(connection)
    assert client.post(f"/alerts/episodes/{episode.id}/snooze", data={"for": "30 min"}).status_code == 303
    assert "Nothing is wrong, 1 snoozed" in client.get("/alerts").text
    assert client.post(f"/alerts/episodes/{episode.id}/snooze", data={"for": "9 d"}).status_code == 422
    assert client.post(f"/alerts/episodes/{episode.id}/acknowledge").status_code == 303
    assert "Acknowledged" in client.get("/alerts").text
    changed = client.post(f"/alerts/rules/{rule.id}", data={**form, "limit": "20", "days": ["0", "1"], "start": "8:00"})
    assert changed.status_code == 303
    with database.read() as connection:
        assert str(rules.rule(connection, rule.id).rule.schedule) == "mon,tue 08:00-24:00 UTC"
    assert client.post(f"/alerts/rules/{rule.id}/enabled", data={"enabled": "0"}).status_code == 303
    assert client.post(f"/alerts/rules/{rule.id}/remove").status_code == 303
    actions = ["rule.add", "episode.snooze", "episode.acknowledge", "rule.change", "rule.disable", "rule.remove"]
    assert [action for action in audited(database) if action.startswith(("rule.", "episode."))] == actions


def test_an_address_that_asks_for_fahrenheit_has_it_in_sentences_peaks_and_blanks(app, database, rows, channel):
    client = signed_in.operator(app)
    rows.readings(channel, minutes(5, 9, 9.5, 9, 9, start=now() - 10 * MINUTE))
    form = {**FORM, "subject": f"channel:{channel}", "scale": "F", "limit": "46.4", "clear": "0.9"}
    shown = {"unit": "F", "tz": "Asia/Tokyo"}
    assert 'name="scale" value="F"' in client.get("/alerts/rules/new", query_string=shown).text
    told = client.get("/alerts/rules/preview", query_string=form).get_json()
    assert told["sentence"] == "above 46.4 °F for 2 min" and "Would have fired once" in told["preview"]
    kept = client.post("/alerts/rules/new", query_string=shown, data=form)
    assert kept.location == "/alerts?unit=F&tz=Asia/Tokyo#rules-title"
    with database.read() as connection:
        (rule,) = rules.rules(connection)
    assert (rule.rule.limit, rule.rule.clear, rule.sentence) == (8.0, 0.5, "above 8 °C for 2 min")
    page = client.get(f"/alerts/rules/{rule.id}", query_string=shown).text
    assert 'value="46.4"' in page and 'value="0.9"' in page and "28ff641e8216c3a1 (°F)" in page
    rise = {**form, "kind": "rise", "limit": "1.8", "window": "10 min", "duration": ""}
    assert client.post(f"/alerts/rules/{rule.id}", query_string=shown, data=rise).status_code == 303
    with database.read() as connection:
        assert rules.rule(connection, rule.id).rule.limit == 1.0
    assert "rises by more than 1.8 °F within 10 min" in client.get("/alerts", query_string=shown).text
    client.post(f"/alerts/rules/{rule.id}", data={**form, "scale": "C", "limit": "8", "clear": "0.5"})
    Engine(database).round(now())
    assert "49.1 °F" in client.get("/alerts", query_string=shown).text and "9.5 °C" in client.get("/alerts").text
    with database.read() as connection:
        (episode,) = episode_log.episodes(connection)
    answer = client.post(f"/alerts/episodes/{episode.id}/acknowledge", query_string=shown)
    assert answer.location == f"/alerts?unit=F&tz=Asia/Tokyo#episode-{episode.id}"


@pytest.mark.parametrize("typed", ["1", "0.1", "3", "47", "-40", "98.6", "0.001"])
def test_what_was_typed_in_fahrenheit_is_shown_again(typed):
    kept = shown("Cel", "F")
    assert f"{kept.value(kept.kept_value(float(typed))):.10g}" == typed
    assert f"{kept.difference(kept.kept_difference(float(typed))):.10g}" == typed


def test_a_scale_changes_temperatures_only(app, database, rows):
    rows.device()
    humidity = rows.channel(unit="%RH")
    client = signed_in.operator(app)
    form = {**FORM, "subject": f"channel:{humidity}", "scale": "F", "limit": "60", "clear": "2"}
    assert client.post("/alerts/rules/new?unit=F", data=form).status_code == 303
    with database.read() as connection:
        (rule,) = rules.rules(connection)
    assert (rule.rule.limit, rule.rule.clear) == (60.0, 2.0)
    assert "above 60 % RH" in client.get("/alerts?unit=F").text


WRONG = [
    ({"limit": "warm"}, "no number"),
    ({"duration": "long"}, "no duration"),
    ({"name": ""}, "name"),
    ({"subject": ""}, "Choose what"),
    ({"subject": "channel:99"}, "There is no"),
    ({"kind": "loud"}, "no rule of kind"),
    ({"days": "1", "zone": "../../etc/passwd"}, "no time zone"),
    ({"days": "1", "start": "25:99"}, "time of day"),
    ({"escalate_after": "5 min"}, "Give both"),
    ({"window": "1 h", "duration": ""}, "exposure"),
]


def test_what_makes_no_rule_is_shown_again_with_what_is_wrong(app, rows, channel):
    client = signed_in.operator(app)
    for wrong, words in WRONG:
        answer = client.post("/alerts/rules/new", data={**FORM, "subject": f"channel:{channel}", **wrong})
        assert answer.status_code in (404, 422) and words in answer.text, wrong


def test_a_viewer_reads_and_changes_nothing_and_sees_only_his_places(app, database, rows, channel):
    rows.device("cellar", stream="00c41fee")
    cellar = rows.channel("cellar")
    with database.write() as connection:
        connection.execute(update(Device).where(Device.name == "fridge-1").values(place="kitchen"))
        rules.add_rule(connection, "Fridge rule", channel, WARM, ())
        rules.add_rule(connection, "Cellar rule", cellar, WARM, ())
    for at in (channel, cellar):
        rows.readings(at, minutes(5, 9, 9, 9, 9, start=now() - 10 * MINUTE))
    Engine(database).round(now())
    viewer = signed_in.viewer(app, places={"kitchen"})
    page = viewer.get("/alerts").text
    assert "Fridge rule is wrong" in page and "Cellar" not in page and "<form" not in page.partition("<main")[2]
    operator = signed_in.client(app, "operator", {"kitchen"})
    with database.read() as connection:
        foreign = next(one.id for one in episode_log.episodes(connection) if one.device == "cellar")
        foreign_rule = next(one.id for one in rules.rules(connection) if one.device == "cellar")
    for path in (
        f"/alerts/episodes/{foreign}/acknowledge",
        f"/alerts/episodes/{foreign}/snooze",
        f"/alerts/rules/{foreign_rule}",
        f"/alerts/rules/{foreign_rule}/enabled",
        f"/alerts/rules/{foreign_rule}/remove",
    ):
        data = {**FORM, "subject": f"channel:{channel}", "for": "30 min"}
        assert operator.post(path, data=data).status_code == 404, path
        assert viewer.post(path, data=data).status_code == 403, path
    other = operator.post("/alerts/rules/new", data={**FORM, "subject": f"channel:{cellar}"})
    assert other.status_code == 404
    assert "no device" in operator.get("/alerts/rules/preview?" + f"subject=channel:{cellar}&limit=8").text
    assert operator.get("/archive").status_code == 403
    day = {"device": "cellar", "from": "2026-01-01", "to": "2026-01-02"}
    assert operator.get("/reports/make", query_string=day).status_code == 404


def test_targets_are_added_tried_and_removed_and_a_secret_is_shown_once(app, database):
    client = signed_in.operator(app)
    page = client.post("/alerts/targets", data={"kind": "webhook", "address": "http://127.0.0.1:9/hidden-path"}).text
    assert "shown only now" in page and "hidden-path" not in page
    with database.read() as connection:
        (entry,) = targets.targets(connection)
    assert "shown only now" not in client.get("/alerts/targets").text
    assert client.post(f"/alerts/targets/{entry.id}/test").status_code == 303
    assert "inside a network" in client.get("/alerts/targets").text
    wrong = client.post("/alerts/targets", data={"kind": "mail", "address": "nobody"})
    assert wrong.status_code == 422 and "no mail address" in wrong.text
    assert client.post(f"/alerts/targets/{entry.id}/remove").status_code == 303
    assert "Nobody yet" in client.get("/alerts/targets").text
    assert audited(database)[-3:] == ["target.add", "target.test", "target.remove"]


def test_the_archive_by_days_downloaded_and_read_back(app, database, store, rows, channel):
    day = now() - 86_400_000
    rows.readings(channel, minutes(*[5] * 50, start=day - day % 86_400_000))
    archive_all(database, store)
    rows.readings(channel, minutes(5, 5, 5, start=now() - 5 * MINUTE))
    client = signed_in.operator(app)
    found = client.get("/archive", query_string={"month": day_of(day)[:7]})
    assert "3 readings are not archived yet" in found.text
    key = found.text.partition('data-key="')[2].partition('"')[0]
    assert key.startswith(f"day={day_of(day)}/")
    download = client.get(f"/archive/objects/{key}")
    assert download.data == store.get(key) and "attachment" in download.headers["Content-Disposition"]
    verify = client.post(f"/archive/verify/{key}", headers={"Accept": "application/json"}).get_json()
    assert (verify["sound"], verify["rows"], verify["findings"]) == (True, 50, [])
    assert "As it was written" in client.post(f"/archive/verify/{key}", headers={"Accept": "text/html"}).text
    store.put(key, store.get(key)[:-1] + b"x")
    broken = client.post(f"/archive/verify/{key}", headers={"Accept": "application/json"}).get_json()
    assert not broken["sound"] and "was altered" in broken["findings"][0]
    for other in ("../../etc/passwd", "day=2026-01-01/none.parquet", "manifest/00000001.json"):
        assert client.get(f"/archive/objects/{other}").status_code == 404
    assert client.get("/archive/seals").get_json() == {"manifests": {}}
    assert signed_in.viewer(app).get(f"/archive/objects/{key}").status_code == 403
    assert client.get("/archive?month=x").status_code == 422


def test_a_report_from_the_page(app, rows, channel):
    rows.readings(channel, minutes(5, 9, 9, 5, start=now() - 10 * MINUTE))
    client = signed_in.viewer(app)
    asked = {"device": "fridge-1", "from": day_of(now() - 86_400_000), "to": day_of(now())}
    pdf = client.get("/reports/make", query_string={**asked, "form": "pdf"})
    assert pdf.data.startswith(b"%PDF-") and pdf.mimetype == "application/pdf"
    table = client.get("/reports/make", query_string={**asked, "form": "csv"})
    lines = list(csv.DictReader(io.StringIO(table.text)))
    told = {(line["section"], line["item"]): line["value"] for line in lines}
    assert told["statistics", "maximum"] == "9.0" and told["statistics", "readings"] == "4"
    tokyo = {"device": "fridge-1", "from": "2026-11-01", "to": "2026-11-01", "tz": "Asia/Tokyo", "form": "csv"}
    day = client.get("/reports/make", query_string=tokyo).text
    assert "2026-10-31T15:00:00Z" in day and "2026-11-01T15:00:00Z" in day
    for wrong in ({"from": "x"}, {"form": "exe"}, {"to": "2020-01-01"}, {"to": "9999-12-31"}, {"tz": "../etc/passwd"}):
        assert client.get("/reports/make", query_string={**asked, **wrong}).status_code == 422
    assert "fridge-1" in client.get("/reports").text


def test_a_report_from_the_terminal(database_url, rows, channel, tmp_path, monkeypatch):
    monkeypatch.setenv("THERMOGRAPH_DATABASE", database_url)
    rows.readings(channel, minutes(5, 9, 9, 5, start=now() - 10 * MINUTE))
    pdf, table = tmp_path / "report.pdf", tmp_path / "report.csv"
    words = ["report", "fridge-1", "--from", day_of(now() - 86_400_000), "--by", "Ada"]
    done = CliRunner().invoke(main, [*words, "--pdf", str(pdf), "--csv", str(table)])
    assert done.exit_code == 0, done.output
    assert pdf.read_bytes().startswith(b"%PDF-") and "Ada" in table.read_text()
    assert CliRunner().invoke(main, words).exit_code == 2
    assert CliRunner().invoke(main, ["report", "nobody", *words[2:], "--pdf", str(pdf)]).exit_code == 66
