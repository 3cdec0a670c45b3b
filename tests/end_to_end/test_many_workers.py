"""More than one ingest worker and archiver at a time; `tools bench workers` is the long form."""

import dataclasses
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from backend.bus import Bus
from backend.ingest import topics
from backend.settings import Settings
from tests.end_to_end.crew import Crew
from tests.end_to_end.kills import Servers
from tests.servers import Mosquitto, program

MESSAGES = 200


@pytest.fixture(scope="module", autouse=True)
def programs():
    for name in ("mosquitto", "weed", "postgres"):
        if not program(name):
            pytest.skip(f"{name} is not installed: python -m tools setup --for test")


@pytest.fixture
def broker(tmp_path):
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


def test_workers_die_and_an_archiver_too_and_nothing_is_lost_or_doubled(tmp_path):
    with pytest.MonkeyPatch.context() as patch, Servers(tmp_path, patch.setenv) as servers:
        report = Crew(servers, seed=int(time.time()), seconds=25, pause=5).run()
    assert report.kills >= 4
    assert report.readings > 1000


def test_of_the_workers_of_a_share_each_message_reaches_one(broker):
    settings = Settings(broker=f"mqtt://127.0.0.1:{broker.port}", ingest_share="ingest")
    workers = [Bus(dataclasses.replace(settings, ingest_id=name), topics("ingest")) for name in ("one", "two")]
    for worker in workers:
        worker.start()
    assert all(worker.wait_until_subscribed(30) for worker in workers)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "sender")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for number in range(MESSAGES):
        client.publish("thermograph/v1/a/telemetry", str(number), qos=1)
    client.publish("thermograph/v1/a/status", "online", qos=1)
    taken = [[], []]
    deadline = time.monotonic() + 60
    while sum(map(len, taken)) < MESSAGES + 2 and time.monotonic() < deadline:
        for found, worker in zip(taken, workers, strict=True):
            group = worker.take(1000, 0.01, 0.1)
            worker.ack(group)
            found += [message.payload for message in group]
    client.disconnect()
    client.loop_stop()
    for worker in workers:
        worker.stop()
    numbers = [[payload for payload in found if payload != b"online"] for found in taken]
    assert sorted(map(int, numbers[0] + numbers[1])) == list(range(MESSAGES))
    assert all(len(each) >= MESSAGES // 4 for each in numbers)
    assert all(b"online" in found for found in taken)
