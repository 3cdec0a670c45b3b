"""The engine over a real database: late, doubled and missing readings, restarts, and each mail once."""

import json
import random

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import delete, insert, select, update

from backend.__main__ import main
from backend.alerts.conditions import Sample
from backend.alerts.delivery import UNKNOWN, Delivery
from backend.alerts.engine import Engine
from backend.alerts.episodes import Episode
from backend.alerts.rule import DAY, Rule
from backend.alerts.rules import acknowledge, add_rule, add_target, remove_rule
from backend.alerts.rules import episodes as episodes_of
from backend.alerts.tables import AlertCheckpoint, AlertMark, AlertRule, AlertTarget, EpisodeRow, NoticeRow
from backend.app import create_app
from backend.errors import NotFound, SettingsError
from backend.models import Reading
from backend.notify import mail
from backend.settings import Settings
from tests import signed_in
from tests.backend import alerts_oracle
from tests.backend.test_alerts_episodes import MINUTE, S, random_history, random_rule
from tests.backend.test_notify import inbox  # noqa: F401 - a fixture

BASE = 1_800_000_000_000
WARM = Rule("high", 8.0, clear=0.5, duration=2 * MINUTE)


@pytest.fixture
def make(database, channel):
    """make(rule, address...) puts a rule over the channel into SQL; its id."""

    def put(rule, *addresses):
        with database.write() as connection:
            targets = [
                connection.scalar(
                    insert(AlertTarget)
                    .values(kind="mail", address=address, secret="", created=0)
                    .returning(AlertTarget.id)
                )
                for address in addresses
            ]
            values = {"channel_id": channel, "name": "Fridge", "enabled": True, "revision": 1, "created": 0}
            values |= {"body": msgspec.json.encode(rule).decode(), "targets": json.dumps(targets)}
            return connection.scalar(insert(AlertRule).values(values).returning(AlertRule.id))

    return put


def episodes(database):
    columns = (EpisodeRow.start, EpisodeRow.raised, EpisodeRow.ended, EpisodeRow.peak)
    with database.read() as connection:
        rows = connection.execute(select(*columns).where(EpisodeRow.withdrawn_at.is_(None)).order_by(EpisodeRow.start))
        return [Episode(*row) for row in rows]


def notices(database):
    with database.read() as connection:
        rows = connection.execute(select(NoticeRow.phase, NoticeRow.outcome).order_by(NoticeRow.id))
        return [tuple(row) for row in rows]


def minutes(*values, start=BASE):
    return [(start + number * MINUTE, float(value)) for number, value in enumerate(values)]


def test_an_episode_from_its_start_to_its_end(database, rows, channel, make):
    make(WARM)
    engine = Engine(database)
    rows.readings(channel, minutes(5, 9, 9.5))
    engine.round(BASE + 2 * MINUTE)
    assert episodes(database) == []
    engine.round(BASE + 3 * MINUTE)  # the last value lasts: two minutes of exposure are full
    assert episodes(database) == [Episode(BASE + MINUTE, BASE + 3 * MINUTE, None, 9.5)]
    rows.readings(channel, minutes(8.2, 7, start=BASE + 3 * MINUTE))
    engine.round(BASE + 5 * MINUTE)
    assert episodes(database) == [Episode(BASE + MINUTE, BASE + 3 * MINUTE, BASE + 4 * MINUTE, 9.5)]


def test_late_readings_withdraw_an_episode_that_was_none(database, rows, channel, make):
    make(Rule("silent", 5 * MINUTE), "lab@example.org")
    engine = Engine(database)
    rows.readings(channel, minutes(5))
    engine.round(BASE + 10 * MINUTE)
    assert len(episodes(database)) == 1
    rows.readings(channel, minutes(*[5.0] * 9, start=BASE + MINUTE))
    engine.round(BASE + 10 * MINUTE)
    assert episodes(database) == []
    assert [phase for phase, _ in notices(database)] == ["raised", "ended"]


def test_a_late_reading_of_last_week_amends_last_week(database, rows, channel, make):
    make(WARM)
    engine = Engine(database)
    for day in range(8):
        rows.readings(channel, minutes(5, 9, 9, 9, 5, start=BASE + day * DAY))
        engine.round(BASE + day * DAY + 10 * MINUTE)
    before = episodes(database)
    assert len(before) == 8
    rows.readings(channel, [(BASE + 2 * DAY + 2 * MINUTE + 30 * S, 5.0)])
    engine.round(BASE + 8 * DAY)
    assert episodes(database) == before[:2] + before[3:]


def test_a_changed_rule_is_judged_anew(database, rows, channel, make):
    rule = make(WARM)
    engine = Engine(database)
    rows.readings(channel, minutes(5, 9, 9, 9, 5))
    engine.round(BASE + 10 * MINUTE)
    assert len(episodes(database)) == 1
    with database.write() as connection:
        body = msgspec.json.encode(Rule("high", 20.0)).decode()
        connection.execute(update(AlertRule).where(AlertRule.id == rule).values(body=body, revision=2))
    engine.round(BASE + 11 * MINUTE)
    assert episodes(database) == []


@pytest.mark.parametrize("block", range(4))
def test_histories_that_come_in_any_order_give_the_oracles_episodes(database, rows, channel, make, block):
    """12 random histories, each in a rule and a time of its own, told late, in pieces, with restarts in between."""
    for seed in range(block * 12, block * 12 + 12):
        chance = random.Random(seed)
        rule, samples = random_rule(chance), random_history(chance)
        if rule.schedule:
            continue  # its hours are of the day, which the base moves
        base = BASE + seed * 10 * DAY
        rule_id = make(rule)
        told = [(base + sample.t, sample.value) for sample in samples]
        until = told[-1][0] + chance.choice([0, 20, 200]) * S
        while told:
            taken = chance.choice([1, 5, 20])
            piece, told = sorted(told[:taken]), told[taken:]
            if chance.random() < 0.4:
                held = [one for one in piece if chance.random() < 0.3]
                told = held + told
                piece = [one for one in piece if one not in held]
            if piece:
                rows.readings(channel, [(t, "crc" if value is None else float(value)) for t, value in piece])
            Engine(database).round(min(until, max([base, *[t for t, _ in piece]])))
        Engine(database).round(until)
        stored = [Sample(t - base, value) for t, value in read(database, channel, base)]
        expected = alerts_oracle.episodes(rule, stored, until - base)
        shifted = [
            Episode(one.start - base, one.raised - base, one.end and one.end - base, one.peak)
            for one in episodes(database)
        ]
        assert shifted == expected, (seed, rule)
        clear(database, rule_id)


def read(database, channel, base):
    with database.read() as connection:
        rows = connection.execute(
            select(Reading.t, Reading.value)
            .where(Reading.channel_id == channel, Reading.t >= base)
            .order_by(Reading.t, Reading.seq)
        )
        return [tuple(row) for row in rows]


def clear(database, rule_id):
    with database.write() as connection:
        for table in (EpisodeRow, AlertCheckpoint, AlertMark):
            connection.execute(delete(table).where(table.rule_id == rule_id))
        connection.execute(delete(AlertRule))
        connection.execute(delete(Reading))


def deliver(database, inbox, now):  # noqa: F811
    server = {"smtp_host": "127.0.0.1", "smtp_port": inbox.server.port, "smtp_security": "none"}
    delivery = Delivery(database, Settings(**server))
    delivery.recover(now)
    return delivery.round(now)


def test_one_mail_at_its_start_and_one_at_its_end(database, rows, channel, make, inbox):  # noqa: F811
    make(WARM, "lab@example.org")
    rows.readings(channel, minutes(5, 9, 9.5, 9))
    for later in range(5):
        Engine(database).round(BASE + 4 * MINUTE + later)
        deliver(database, inbox, BASE + 4 * MINUTE + later)
    assert ["too high" in message for message in inbox.messages] == [True]
    rows.readings(channel, minutes(5, 5, start=BASE + 5 * MINUTE))
    for later in range(5):
        Engine(database).round(BASE + 7 * MINUTE + later)
        deliver(database, inbox, BASE + 7 * MINUTE + later)
    assert len(inbox.messages) == 2 and "Fridge (fridge-1): over" in inbox.messages[1]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", ["before the mail", "after the mail"])
def test_a_restart_at_the_mail_sends_no_second_one(database, rows, channel, make, inbox, monkeypatch, point):  # noqa: F811
    make(WARM, "lab@example.org")
    rows.readings(channel, minutes(5, 9, 9.5, 9))
    Engine(database).round(BASE + 4 * MINUTE)
    real = mail.send

    def killed(*words):
        if point == "after the mail":
            real(*words)
        raise Killed

    monkeypatch.setattr(mail, "send", killed)
    with pytest.raises(Killed):
        deliver(database, inbox, BASE + 4 * MINUTE)
    monkeypatch.undo()
    deliver(database, inbox, BASE + 5 * MINUTE)
    assert len(inbox.messages) == (point == "after the mail")
    assert notices(database) == [("raised", UNKNOWN)]


def test_what_was_refused_for_now_is_tried_again_and_what_was_for_good_is_not(database, rows, channel, make, inbox):  # noqa: F811
    make(WARM, "lab@example.org")
    rows.readings(channel, minutes(5, 9, 9.5, 9))
    Engine(database).round(BASE + 4 * MINUTE)
    inbox.refuse = "452 mailbox full"
    deliver(database, inbox, BASE + 4 * MINUTE)
    inbox.refuse = ""
    assert deliver(database, inbox, BASE + 4 * MINUTE + 1) == 0
    assert deliver(database, inbox, BASE + 5 * MINUTE) == 1
    assert len(inbox.messages) == 1
    rows.readings(channel, minutes(5, 5, start=BASE + 5 * MINUTE))
    Engine(database).round(BASE + 7 * MINUTE)
    inbox.refuse = "550 no such user"
    deliver(database, inbox, BASE + 7 * MINUTE)
    inbox.refuse = ""
    assert deliver(database, inbox, BASE + 90 * MINUTE) == 0
    assert notices(database)[1][1].startswith("failed: ")


def test_without_a_mail_server_the_notice_says_so(database, rows, channel, make):
    make(WARM, "lab@example.org")
    rows.readings(channel, minutes(5, 9, 9.5, 9))
    Engine(database).round(BASE + 4 * MINUTE)
    Delivery(database, Settings()).round(BASE + 4 * MINUTE)
    assert "THERMOGRAPH_SMTP_HOST" in notices(database)[0][1]


def test_an_address_inside_is_not_called_and_the_notice_says_why(database, rows, channel):
    with database.write() as connection:
        target, secret = add_target(connection, "webhook", "http://127.0.0.1:9/")
        add_rule(connection, "Fridge", channel, WARM, (target,))
    assert len(secret) > 30
    rows.readings(channel, minutes(5, 9, 9.5, 9))
    Engine(database).round(BASE + 4 * MINUTE)
    Delivery(database, Settings()).round(BASE + 4 * MINUTE)
    assert "inside a network" in notices(database)[0][1]


def test_page_and_api_show_what_is_wrong(database, rows, channel):
    hostile = "<script>alert(1)</script>"
    with database.write() as connection:
        rule = add_rule(connection, hostile, channel, WARM, ())
    rows.readings(channel, minutes(5, 9, 9.5, 9))
    Engine(database).round(BASE + 4 * MINUTE)
    app = create_app(Settings(), database)
    client = signed_in.admin(app)
    page = client.get("/alerts").text
    assert hostile not in page and "&lt;script&gt;alert(1)&lt;/script&gt; is wrong" in page
    (episode,) = client.get("/api/v1/episodes?state=open").get_json()["episodes"]
    assert (episode["rule"], episode["start"], episode["end"], episode["peak"]) == (rule, BASE + MINUTE, None, 9.5)
    assert client.get("/api/v1/episodes?state=wrong").status_code == 400
    assert client.get("/api/v1/rules").get_json()["rules"][0]["sentence"] == "above 8 °C for 2 min"
    with database.write() as connection:
        acknowledge(connection, episode["id"], "Ada")
        acknowledge(connection, episode["id"], "Bob")
        assert episodes_of(connection)[0].acknowledged_by == "Ada"
        remove_rule(connection, rule)
    assert client.get("/api/v1/episodes").get_json()["episodes"] == []
    assert "Nothing is watched yet" in client.get("/alerts").text
    app.extensions["live"].close()


@pytest.mark.parametrize("wrong", ["", "a\nb", "x" * 121])
def test_a_rule_without_a_proper_name_is_refused(database, channel, wrong):
    with pytest.raises(SettingsError), database.write() as connection:
        add_rule(connection, wrong, channel, WARM, ())


def test_a_rule_over_nothing_is_refused(database, channel):
    for channel_id, targets in ((channel + 1, ()), (channel, (7,))):
        with pytest.raises(NotFound), database.write() as connection:
            add_rule(connection, "Fridge", channel_id, WARM, targets)


def test_a_rule_from_the_terminal(database, database_url, rows, channel, monkeypatch):
    monkeypatch.setenv("THERMOGRAPH_DATABASE", database_url)

    def run(*words, code=0):
        done = CliRunner().invoke(main, ["alert", *words])
        assert done.exit_code == code, done.output
        return done.output

    where = ["fridge-1", "28ff641e8216c3a1", "Cel"]
    assert "rule " in run("add", *where, "--name", "Fridge", "--above", "8", "--for", "10min", "--mail", "a@b.org")
    assert "above 8 °C for 10 min" in run("list")
    assert "says one thing" in run("add", *where, "--name", "x", "--above", "8", "--below", "2", code=78)
    assert "has no channel" in run("add", "fridge-1", "nothing", "Cel", "--name", "x", "--above", "8", code=66)
    assert "no mail address" in run("add", *where, "--name", "x", "--above", "8", "--mail", "nobody", code=78)
    rows.readings(channel, minutes(5, *[9] * 12))
    Engine(database).round(BASE + 13 * MINUTE)
    assert "Fridge: for" in run("episodes", "--open")
