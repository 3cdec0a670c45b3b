"""The bus at a real mosquitto: what is not acked comes again, and an old ack never acknowledges a new message."""

import queue
import threading
import time

import paho.mqtt.client as mqtt
import paho.mqtt.publish
import pytest

from backend.bus import Bus
from backend.errors import BrokerUnavailable
from backend.settings import Settings
from tests.servers import Mosquitto, program, wait_for

pytestmark = pytest.mark.skipif(not program("mosquitto"), reason="mosquitto is not installed")
TOPIC = "thermograph/v1/fridge-1/telemetry"


@pytest.fixture
def broker(tmp_path):
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def connect(broker):
    buses = []

    def connect():
        bus = Bus(Settings(broker=f"mqtt://127.0.0.1:{broker.port}"), ["thermograph/v1/+/telemetry"])
        buses.append(bus)
        bus.start()
        assert bus.wait_until_subscribed(10)
        return bus

    yield connect
    for bus in buses:
        bus.stop()


def publish(broker, *payloads):
    messages = [{"topic": TOPIC, "payload": payload, "qos": 1} for payload in payloads]
    paho.mqtt.publish.multiple(messages, hostname="127.0.0.1", port=broker.port)


def take(bus, count):
    taken = []
    wait_for(lambda: taken.extend(bus.take(10, 0.02, 0.1)) or len(taken) >= count, f"{count} messages", 15)
    return taken


def test_what_is_not_acked_comes_again_and_what_is_acked_does_not(broker, connect):
    bus = connect()
    publish(broker, "1", "2", "3")
    first, *rest = take(bus, 3)
    bus.ack([first])
    bus.stop()
    again = take(connect(), 2)
    assert [message.payload for message in again] == [message.payload for message in rest] == [b"2", b"3"]


def test_an_ack_of_an_old_connection_acknowledges_nothing_on_a_new_one(broker, connect):
    bus = connect()
    publish(broker, "old")
    (old,) = take(bus, 1)
    broker.kill()
    broker.start()
    # The broker came back empty, so it numbers from 1 again: the same packet id now means another message.
    assert wait_for_resubscription(broker, bus)[0].payload == b"new"
    bus.ack([old])
    bus.stop()
    assert [message.payload for message in take(connect(), 1)] == [b"new"]


def wait_for_resubscription(broker, bus):
    taken = []

    def arrived():
        publish(broker, "new")
        taken.extend(bus.take(10, 0.02, 0.2))
        return taken

    wait_for(arrived, "message after the reconnect", 20)
    return taken


def test_a_dead_client_thread_is_an_error_not_a_silence(broker, connect, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("a bug in a callback")

    monkeypatch.setattr(mqtt.Client, "loop_forever", fail)
    bus = Bus(Settings(broker=f"mqtt://127.0.0.1:{broker.port}"), ["thermograph/v1/+/telemetry"])
    bus.start()
    with pytest.raises(BrokerUnavailable, match="a bug in a callback"):
        bus.take(1, 0.1, 5)


def test_a_burst_is_taken_as_one_group(broker, connect):
    bus = connect()
    publish(broker, *[str(n) for n in range(20)])
    group = take(bus, 20)
    assert [int(message.payload) for message in group] == list(range(20))


def test_what_is_sent_does_not_wait_until_something_comes(broker, connect):
    """Thirty, one after the other has come back: asleep in its select(), the client would take a second for each."""
    bus, back = connect(), queue.SimpleQueue()
    listener = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    listener.on_message = lambda _client, _userdata, message: back.put(message.payload)
    ready = threading.Event()
    listener.on_subscribe = lambda *_: ready.set()
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe("thermograph/v1/fridge-1/ack")
    listener.loop_start()
    assert ready.wait(10)
    before = time.monotonic()
    for number in range(30):
        bus.publish([("thermograph/v1/fridge-1/ack", b"%d" % number)])
        assert back.get(timeout=10) == b"%d" % number
    assert time.monotonic() - before < 15
    listener.disconnect()
    listener.loop_stop()
