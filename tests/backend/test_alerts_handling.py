"""Snooze, escalation, targets, health rules, previews: over a real database, SMTP server and broker."""

import json

import pytest
from sqlalchemy import select

from backend.alerts import duration, episode_log, health, preview, rules, schedule, targets, telling
from backend.alerts.delivery import Delivery
from backend.alerts.engine import Engine
from backend.alerts.rule import DAY, Rule
from backend.alerts.rules import Wanted
from backend.alerts.tables import EpisodeRow, NoticeRow
from backend.errors import NotFound, SettingsError
from backend.notify import mail, mqtt
from backend.notify.ways import Ways
from backend.settings import Settings
from tests.backend.test_alerts_engine import BASE, WARM, Killed, minutes
from tests.backend.test_alerts_episodes import MINUTE, S
from tests.backend.test_notify import NOTICE, inbox  # noqa: F401 - a fixture
from tests.rows import now
from tests.servers import Mosquitto


class Desk:
    """The alert service, one step at a time; each step may be a process of its own."""

    def __init__(self, database, rows, channel, inbox):  # noqa: F811
        self.database, self.rows, self.channel, self.inbox = database, rows, channel, inbox
        server = {"smtp_host": "127.0.0.1", "smtp_port": inbox.server.port, "smtp_security": "none"}
        self.settings = Settings(**server)

    def rule(self, **more):
        with self.database.write() as connection:
            first = targets.add_target(connection, "mail", "lab@example.org")[0]
            second = targets.add_target(connection, "mail", "boss@example.org")[0]
            wanted = Wanted("Fridge", WARM, self.channel, targets=(first,), **more)
            if "escalate_after" in more:
                wanted = Wanted("Fridge", WARM, self.channel, None, (first,), more["escalate_after"], (second,))
            return rules.add(connection, wanted)

    def warm(self):
        self.start = now() - 10 * MINUTE
        self.rows.readings(self.channel, minutes(5, 9, 9.5, 9, 9, 9, 9, 9, 9, start=self.start))

    def step(self, at, restart=True):
        Engine(self.database).round(at)
        telling.follow_up(self.database, at)
        delivery = Delivery(self.database, self.settings)
        if restart:
            delivery.recover(at)
        delivery.round(at)

    def episode(self):
        with self.database.read() as connection:
            return episode_log.episodes(connection)[0]

    def told(self):
        return [(one.phase, one.outcome) for one in self.episode().log]

    def subjects(self):
        heads = [message.partition("\r\n\r\n")[0] for message in self.inbox.messages]
        return [line for head in heads for line in head.split("\r\n") if line.startswith(("To:", "Subject:"))]


@pytest.fixture
def desk(database, rows, channel, inbox):  # noqa: F811
    return Desk(database, rows, channel, inbox)


def test_a_snoozed_alert_is_told_of_once_more_when_the_snooze_is_over(desk):
    desk.rule()
    desk.warm()
    at = now()
    desk.step(at)
    for round_ in range(1, 3):
        until = now() + 60 * MINUTE
        with desk.database.write() as connection:
            episode_log.snooze(connection, desk.episode().id, until, "Ada")
        assert desk.episode().is_snoozed(now())
        for later in range(3):
            desk.step(until - 1 - later)
        assert len(desk.inbox.messages) == round_
        for later in range(3):
            desk.step(until + later)
        assert len(desk.inbox.messages) == round_ + 1
    assert [phase for phase, _ in desk.told()] == ["raised", "again", "again"]
    assert any("still too high" in line for line in desk.subjects())


def test_the_end_is_told_during_a_snooze_and_nothing_after_it(desk):
    desk.rule()
    desk.warm()
    desk.step(now())
    until = now() + 60 * MINUTE
    with desk.database.write() as connection:
        episode_log.snooze(connection, desk.episode().id, until, "Ada")
    desk.rows.readings(desk.channel, minutes(5, 5, start=now()))
    for at in (now() + MINUTE, until - 1, until + 1, until + DAY):
        desk.step(at)
    assert [phase for phase, _ in desk.told()] == ["raised", "ended"]
    assert len(desk.inbox.messages) == 2
    with pytest.raises(SettingsError), desk.database.write() as connection:
        episode_log.snooze(connection, desk.episode().id, now() + MINUTE, "Ada")


def test_nobody_answers_so_the_next_one_is_told_once(desk):
    desk.rule(escalate_after=30 * MINUTE)
    desk.warm()
    at = now()
    desk.step(at)
    desk.step(at + 29 * MINUTE)
    assert len(desk.inbox.messages) == 1
    for later in range(4):
        desk.step(at + 30 * MINUTE + later)
    assert len(desk.inbox.messages) == 2
    assert "To: boss@example.org" in desk.subjects()
    desk.rows.readings(desk.channel, minutes(5, 5, start=now()))
    desk.step(at + 40 * MINUTE)
    desk.step(at + 41 * MINUTE)
    # Who was told that it began is told that it is over.
    assert sorted(line for line in desk.subjects() if line.startswith("To:")) == [
        "To: boss@example.org", "To: boss@example.org", "To: lab@example.org", "To: lab@example.org"
    ]  # fmt: skip


def test_an_answer_in_time_escalates_nothing_and_a_snooze_puts_it_off(desk):
    desk.rule(escalate_after=30 * MINUTE)
    desk.warm()
    at = now()
    desk.step(at)
    with desk.database.write() as connection:
        episode_log.snooze(connection, desk.episode().id, at + 60 * MINUTE, "Ada")
    desk.step(at + 89 * MINUTE)
    assert [phase for phase, _ in desk.told()] == ["raised", "again"]
    with desk.database.write() as connection:
        episode_log.acknowledge(connection, desk.episode().id, "Ada")
    desk.step(at + 200 * MINUTE)
    assert [phase for phase, _ in desk.told()] == ["raised", "again"]


@pytest.mark.parametrize("point", ["before the notices", "before the mail", "after the mail"])
def test_a_restart_while_it_escalates_sends_no_second_mail(desk, monkeypatch, point):
    desk.rule(escalate_after=30 * MINUTE)
    desk.warm()
    at = now()
    desk.step(at)
    real_mail, real_tell = mail.send, telling.tell

    def killed(*words):
        if point == "after the mail":
            real_mail(*words)
        raise Killed

    def killed_after_notices(*words):
        real_tell(*words)
        raise Killed

    if point == "before the notices":
        monkeypatch.setattr(telling, "tell", killed_after_notices)
    else:
        monkeypatch.setattr(mail, "send", killed)
    with pytest.raises(Killed):
        desk.step(at + 31 * MINUTE)
    monkeypatch.undo()
    for later in range(3):
        desk.step(at + 32 * MINUTE + later)
    assert len(desk.inbox.messages) == (1 if point == "before the mail" else 2)
    assert [phase for phase, _ in desk.told()] == ["raised", "unseen"]


def test_what_was_over_before_the_rule_is_history_and_no_mail(desk):
    desk.rows.readings(desk.channel, minutes(5, 9, 9, 9, 9, 5, 5, start=now() - DAY))
    desk.rule()
    desk.step(now())
    assert desk.episode().episode.end is not None and desk.inbox.messages == []


def test_a_changed_rule_keeps_its_targets_apart_from_what_it_says(desk):
    rule = desk.rule()
    desk.warm()
    desk.step(now())
    with desk.database.write() as connection:
        entry = rules.rule(connection, rule)
        other = Wanted("Fridge two", entry.rule, entry.channel, targets=())
        assert rules.change(connection, rule, other).revision == entry.revision
        assert rules.change(connection, rule, Wanted("x", Rule("high", 20), entry.channel)).revision == 2
    desk.step(now())
    assert desk.episode().withdrawn_at is not None
    assert [phase for phase, _ in desk.told()] == ["raised", "ended"]


def test_a_disabled_rule_says_that_it_is_over_and_judges_nothing(desk):
    rule = desk.rule()
    desk.warm()
    desk.step(now())
    with desk.database.write() as connection:
        rules.enable(connection, rule, False)
    desk.step(now() + MINUTE)
    assert not desk.episode().is_open and len(desk.inbox.messages) == 2
    with desk.database.write() as connection:
        rules.remove_rule(connection, rule)
        assert connection.execute(select(EpisodeRow)).all() == connection.execute(select(NoticeRow)).all() == []


def test_a_removed_target_hears_nothing_more(desk):
    desk.rule()
    desk.warm()
    with desk.database.write() as connection:
        for entry in targets.targets(connection):
            targets.remove_target(connection, entry.id)
    desk.step(now())
    assert desk.inbox.messages == []
    with pytest.raises(NotFound), desk.database.write() as connection:
        rules.add(connection, Wanted("x", WARM, desk.channel, targets=(1,)))


def test_the_test_of_a_target_says_what_came_of_it(desk):
    with desk.database.write() as connection:
        good = targets.add_target(connection, "mail", "lab@example.org")[0]
        inside = targets.add_target(connection, "webhook", "http://127.0.0.1:9/secret/path")[0]
    with desk.database.read() as connection:
        assert targets.try_target(connection, good, Ways(desk.settings), "Ada") == "delivered"
        assert "inside a network" in targets.try_target(connection, inside, Ways(desk.settings), "Ada")
        assert "secret" not in targets.target(connection, inside).shown
    assert "Thermograph: a test" in desk.inbox.messages[0]


def test_the_preview_counts_what_the_engine_would_have_found(desk):
    at = now()
    for day in range(1, 4):
        desk.rows.readings(desk.channel, minutes(5, 9, 9, 9, 5, 5, start=at - (4 - day) * DAY))
    with desk.database.read() as connection:
        found = preview.preview(connection, WARM, desk.channel, None, at)
        assert found.sentence.startswith("Would have fired 3 times in the last 7 days")
        assert "not once" in preview.preview(connection, Rule("high", 50), desk.channel, None, at).sentence
        assert "no reading" in preview.preview(connection, WARM, desk.channel + 1, None, at).sentence
    desk.rule()
    desk.step(at)
    with desk.database.read() as connection:
        assert [one.episode for one in episode_log.episodes(connection)] == list(reversed(found.episodes))


def state(uptime, rssi=-60, depth=10):
    told = {"v": 1, "uptime": uptime, "rssi": rssi, "free": 80_000, "outbox": {"depth": depth, "capacity": 100}}
    return json.dumps(told)


def test_rules_on_the_health_of_a_device(desk):
    device = "fridge-1"
    with desk.database.write() as connection:
        for name, rule in (
            ("weak", Rule("low", -80, clear=5, measure="rssi")),
            ("full", Rule("high", 90, measure="outbox")),
            ("restarts", Rule("rise", 1, window=60 * MINUTE, measure="restarts")),
        ):
            rules.add(connection, Wanted(name, rule, device=device))
    told = [(100, -60, 10), (160, -85, 10), (220, -84, 95), (30, -60, 20), (20, -60, 20)]
    for number, (uptime, rssi, depth) in enumerate(told):
        at = BASE + number * MINUTE
        desk.rows.set_device(device, health=state(uptime, rssi, depth), health_at=at)
        with desk.database.write() as connection:
            health.record(connection, at)
            health.record(connection, at)
        Engine(desk.database).round(at + S)
    with desk.database.read() as connection:
        found = {one.name: one for one in episode_log.episodes(connection)}
    assert (found["weak"].episode.start, found["weak"].episode.end) == (BASE + MINUTE, BASE + 3 * MINUTE)
    assert found["weak"].episode.peak == -85 and found["full"].episode.peak == 95
    assert found["restarts"].episode.start == BASE + 4 * MINUTE
    assert found["weak"].sensor == "Wi-Fi signal" and found["weak"].device == device


def test_hostile_health_is_no_health(desk):
    for number, text in enumerate(("[]", "nonsense", '{"uptime": "x", "outbox": 7, "rssi": true}')):
        desk.rows.set_device("fridge-1", health=text, health_at=BASE + number)
        with desk.database.write() as connection:
            health.record(connection, BASE)
    with desk.database.read() as connection:
        assert [one.value for one in health.samples(connection, 1, "rssi", None)] == [None] * 3


@pytest.mark.parametrize(
    "text", ["mon-fri 08:00-18:30 Europe/Berlin", "fri-mon 22:00-06:00 UTC", "sat,sun 0:00-24:00 UTC"]
)
def test_a_schedule_is_read_as_it_is_written(text):
    assert schedule.parse(str(schedule.parse(text))) == schedule.parse(text)


@pytest.mark.parametrize(
    "text", ["", "always", "mon 8-18 UTC", "mon 08:00-25:00 UTC", "foo 08:00-18:00 UTC", "mon 08:00-18:00 ../etc"]
)
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(SettingsError):
        schedule.parse(text)


def test_durations_are_read_as_they_are_written():
    assert duration.parse("1 h 30 min") == duration.parse("90min") == 90 * MINUTE
    assert duration.parse("") == 0
    for wrong in ("10", "ten min", "-5 min", "5 min;"):
        with pytest.raises(SettingsError):
            duration.parse(wrong)


def test_mqtt_and_home_assistant_hear_of_it_at_a_real_broker(tmp_path):
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    from tests.servers import wait_for

    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    got = {}
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: got.update({message.topic: message.payload})
    try:
        settings = Settings(broker=f"mqtt://127.0.0.1:{broker.port}")
        mqtt.send(settings, mqtt.home_assistant("homeassistant", NOTICE))
        client.connect("127.0.0.1", broker.port)
        client.subscribe("#")
        client.loop_start()
        wait_for(lambda: "thermograph/alerts/rule-0/state" in got, "retained state")
        config = json.loads(got["homeassistant/binary_sensor/thermograph_rule_0/config"])
        assert got[config["state_topic"]] == b"ON" and config["device_class"] == "problem"
        mqtt.send(settings, mqtt.plain("home/alerts", NOTICE))
        wait_for(lambda: "home/alerts" in got, "notice")
        assert json.loads(got["home/alerts"])["id"] == NOTICE.id
    finally:
        client.disconnect()
        client.loop_stop()
        broker.stop()


@pytest.mark.parametrize("topic", ["", "home/#", "+/x", "$SYS/x", "thermograph/v1/fridge-1/telemetry", "a\nb"])
def test_a_topic_that_is_not_for_notices_is_refused(topic):
    with pytest.raises(SettingsError):
        mqtt.check_topic(topic)
