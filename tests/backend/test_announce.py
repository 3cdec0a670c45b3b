"""What the broker is told: newest values, Home Assistant's discovery, wanted settings; at a real mosquitto."""

import json
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from backend import queries, wanted_settings
from backend.announce import home_assistant, latest
from backend.announce.outlet import Outlet
from backend.announce.service import Announcer
from backend.errors import InputRefused, NotFound
from backend.settings import Settings
from tests.servers import Mosquitto, program, wait_for

WIRE = Path(__file__).parents[1] / "wire" / "v1"
T = 1_763_812_345_000
HOSTILE = "{{ states('x') }}\n<b>'\";--"


def golden(name):
    return json.loads((WIRE / f"{name}.json").read_text())


def want(database, device="fridge-1", **fields):
    with database.write() as connection:
        return wanted_settings.want(connection, device, fields, "ann")


def read(database, device="fridge-1"):
    with database.read() as connection:
        return wanted_settings.read(connection, device)


def test_the_newest_values_are_told_as_in_the_golden_example(database, rows, channel):
    rows.readings(channel, [(T, 4.4375)])
    rows.set_stream(channel, stream="9f3a1c02")
    with database.read() as connection:
        found = queries.newest(connection)
    topic, payload = latest.message("fridge-1", [found[0]._replace(seq=120441)])
    assert (topic, json.loads(payload)) == (golden("latest")["topic"], golden("latest")["message"])


def test_wanted_settings_are_told_as_in_the_golden_example(database, rows, channel):
    rows.set_device("fridge-1", health=json.dumps({"settings": 6}))
    made = want(database, interval=30, send={"every": 10})
    assert json.loads(made.payload) == golden("settings")["message"]
    assert read(database) == made and made.published_at is None


def test_a_revision_is_above_all_that_the_device_has_spoken_of(database, rows, channel):
    assert want(database, interval=30).revision == 1
    rows.set_device("fridge-1", health=json.dumps({"settings": 4, "refused": 9}))
    assert want(database, interval=31).revision == 10
    rows.set_device("fridge-1", health="no JSON")
    assert want(database).revision == 11
    assert read(database).fields == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"interval": 0},
        {"interval": "60"},
        {"interval": float("nan")},
        {"oversample": 100},
        {"send": {"every": 0}},
        {"send": {"topic": "x"}},
        {"broker": {"host": "evil"}},
        {"revision": 7},
        {"networks": []},
    ],
)
def test_what_a_device_would_refuse_is_refused_here(database, rows, channel, fields):
    with pytest.raises(InputRefused):
        want(database, **fields)
    assert read(database) is None


def test_a_device_that_is_not_there_is_named(database):
    with pytest.raises(NotFound, match="no-such"):
        want(database, "no-such", interval=30)


def test_a_newer_revision_that_came_meanwhile_stays_unpublished(database, rows, channel):
    older = want(database, interval=30)
    newer = want(database, interval=31)
    with database.write() as connection:
        wanted_settings.published(connection, older, T)
    assert read(database) == newer


def test_home_assistant_is_told_a_device_of_hostile_names(database, rows, channel):
    rows.set_device(
        "fridge-1", label=HOSTILE, health=json.dumps({"rssi": -61, "outbox": {"depth": 3}, "firmware": HOSTILE})
    )
    rows.readings(channel, [(T + i * 60_000, 4.5) for i in range(5)])
    with database.read() as connection:
        (device,), newest = queries.devices(connection), queries.newest(connection)
    topic, payload = home_assistant.message("homeassistant", device, newest)
    told = json.loads(payload)
    assert topic == "homeassistant/device/thermograph-fridge-1/config"
    assert told["device"]["name"] == "{{ states('x') }} <b>'\";--"
    templates = [part["value_template"] for part in told["components"].values()]
    assert len(templates) == 3 and not any("states" in template for template in templates)
    sensor = told["components"][f"channel-{channel}"]
    assert (sensor["device_class"], sensor["unit_of_measurement"], sensor["expire_after"]) == ("temperature", "°C", 300)
    assert told["availability_topic"] == "thermograph/v1/fridge-1/status"


@pytest.fixture
def broker(tmp_path):
    if not program("mosquitto"):
        pytest.skip("mosquitto is not installed: python -m tools setup --for test")
    (tmp_path / "broker").mkdir()
    server = Mosquitto(tmp_path / "broker")
    server.start()
    yield server
    server.close()


def retained(port):
    """topic → payload of all that the broker keeps."""
    found, done = {}, threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: found.update({message.topic: json.loads(message.payload)})
    client.on_subscribe = lambda *_: done.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe([("thermograph/#", 0), ("homeassistant/#", 0)])
    assert done.wait(10)
    sent = client.publish("end", b"1", qos=1)
    sent.wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    return found


def test_the_broker_keeps_what_sql_says_also_one_that_forgot(database, rows, channel, broker):
    rows.readings(channel, [(T, 4.5)])
    outlet = Outlet(Settings(broker=f"mqtt://127.0.0.1:{broker.port}"))
    announcer, stop = Announcer(database, outlet, "homeassistant"), threading.Event()
    outlet.start()
    thread = threading.Thread(target=announcer.run, args=(stop,))
    thread.start()
    try:

        def told(leaf):
            return retained(broker.port).get(f"thermograph/v1/fridge-1/{leaf}", {})

        def value():
            return told("latest").get("channels", {}).get("28ff641e8216c3a1/Cel", {}).get("value")

        wait_for(lambda: value() == 4.5, "the newest value at the broker")
        rows.readings(channel, [(T + 1000, 5.5)])
        wait_for(lambda: value() == 5.5, "the newer value")
        want(database, interval=30)
        wait_for(lambda: told("settings") == {"revision": 1, "interval": 30.0}, "the wanted settings")
        wait_for(lambda: read(database).published_at, "the mark that they are published")
        broker.kill()
        broker.start()
        wait_for(lambda: value() == 5.5 and told("settings"), "all of it at a broker that forgot", 60)
        assert "homeassistant/device/thermograph-fridge-1/config" in retained(broker.port)
    finally:
        stop.set()
        thread.join(30)
        outlet.stop()
