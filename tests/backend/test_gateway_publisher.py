"""The gateway's connection to the broker: one thread only writes to the socket."""

import threading

import paho.mqtt.client as mqtt
import pytest

from backend.gateway.publisher import Publisher
from backend.settings import Settings
from tests.servers import Mosquitto, program, wait_for

MESSAGES = 50


@pytest.mark.skipif(not program("mosquitto"), reason="mosquitto is not installed: python -m tools setup --for test")
def test_who_publishes_does_not_write_into_what_the_client_s_thread_is_writing(tmp_path, monkeypatch):
    """paho would, in a thread that it did not start itself; the pieces of two messages could be mixed then."""
    writers, write = set(), mqtt.Client.loop_write

    def loop_write(client):
        writers.add(threading.current_thread().name)
        return write(client)

    monkeypatch.setattr(mqtt.Client, "loop_write", loop_write)
    broker = Mosquitto(tmp_path / "broker", False, {"backend": "b"})
    broker.start()
    settings = Settings(
        broker=f"mqtt://127.0.0.1:{broker.port}", broker_user="backend", broker_password="b", state_dir=tmp_path
    )
    heard = []
    publisher = Publisher(settings, "gw", lambda device, payload: heard.append(payload))
    publisher.start()
    try:
        wait_for(lambda: publisher.connected, "connection")
        assert publisher.hear(["d"])
        for number in range(MESSAGES):
            assert publisher.send("d", "ack", b"%d" % number)
        wait_for(lambda: len(heard) == MESSAGES, "messages")
        assert writers == {"publisher"}
    finally:
        publisher.stop()
        broker.close()
