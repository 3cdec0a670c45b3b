"""Garbage beside good devices: these keep their pace; every bad message is in `rejected` or refused by the broker."""

import contextlib
import json
import os
import random

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import func, select

from backend.models import Device, Rejected
from tests.end_to_end.world import SECRET
from tests.servers import wait_for

FLOOD = 3000
QUEUED = 500
OWN = "thermograph/v1/garbage/telemetry"


def garbage(chance):
    """One bad payload for a telemetry topic."""
    base = {"v": 1, "stream": "9f3a1c02", "seq": 1, "t": 1_763_812_345_000, "tq": "ntp", "ch": [["a", "Cel"]]}
    shapes = [
        lambda: chance.randbytes(chance.randint(0, 300)),
        lambda: json.dumps(chance.choice([[], 7, None, "x", {"v": 1}, {"r": [[0, 0, 1]]}])).encode(),
        lambda: json.dumps(base | {"r": [[0, 0, 10**400]]}).encode(),
        lambda: json.dumps(base | {"seq": 10**30, "r": [[0, 0, 1]]}).encode(),
        lambda: json.dumps(base | {"r": [[0, 0, -9999]]}).encode(),
        lambda: b"[" * chance.randint(1, 5000),
    ]
    return chance.choice(shapes)()


class Publisher:
    def __init__(self, world, user):
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, f"flood-{user}")
        self.client.max_inflight_messages_set(200)
        self.client.username_pw_set(user, SECRET)
        self.client.connect("127.0.0.1", world.broker.port)
        self.client.loop_start()

    def send(self, topic, payload):
        return self.client.publish(topic, payload, qos=1)

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


def count(world, table):
    with world.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


@pytest.fixture
def publisher(world):
    publisher = Publisher(world, "garbage")
    yield publisher
    publisher.close()


def test_good_devices_keep_their_pace_in_a_flood(world, publisher):
    device = world.add_device(interval=0.1)
    device.sample_more(30)
    chance = random.Random(1)
    sent = 0
    lag = []
    while sent < FLOOD:
        infos = [publisher.send(OWN, garbage(chance)) for _ in range(100)]
        for info in infos:
            info.wait_for_publish(30)
        sent += len(infos)
        # As fast as ingest can take it: past 1,000 waiting messages mosquitto would drop them, good ones too.
        wait_for(lambda: count(world, Rejected) > sent - QUEUED, "progress of ingest")  # noqa: B023
        lag.append(max(account.waiting_on_device for account in world.ledgers() if account.device == device.name))
    wait_for(lambda: count(world, Rejected) == FLOOD, f"{FLOOD} rejected messages, {count(world, Rejected)}")
    # Ten readings a second: what waits on the device during the flood is a few seconds' worth, never the flood's.
    assert max(lag) < 50
    assert world.ingest.process.poll() is None
    newest = device.sampled[-1]
    wait_for(lambda: any(a.device == device.name and a.archived >= newest for a in world.ledgers()), "archive")


def test_a_message_of_10_mb_is_refused_or_rejected(world, publisher):
    device = world.add_device(interval=0.1)
    device.sample_more(10)
    publisher.send(OWN, os.urandom(10_000_000))
    # mosquitto cuts off who sends more than max_packet_size: that is the refusal.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: not publisher.client.is_connected(), "refusal", 10)
    device.sample_more(10)
    world.assert_nothing_lost_or_doubled(device)
    assert count(world, Rejected) == 0


def test_a_message_over_our_limit_but_under_the_brokers_is_rejected(world, publisher):
    publisher.send(OWN, b"x" * 900_000).wait_for_publish(30)
    wait_for(lambda: count(world, Rejected) == 1, "rejected message")


def test_another_devices_topic_is_refused_by_the_broker(world, publisher):
    device = world.add_device(interval=0.1)
    device.sample_more(10)
    stream = world.ledgers()[0].stream if world.ledgers() else "00000000"
    forged = {"v": 1, "stream": stream, "seq": 1, "t": 1_763_812_345_000, "tq": "ntp", "ch": [["a", "Cel"]]}
    for seq in range(1, 500):
        forged |= {"seq": seq, "r": [[0, 0, 666.0]]}
        publisher.send(f"thermograph/v1/{device.name}/telemetry", json.dumps(forged).encode())
    publisher.send(f"thermograph/v1/{device.name}/ack", b'{"stream": "%s", "seq": 400}' % stream.encode())
    publisher.send(OWN, b"the end").wait_for_publish(30)
    wait_for(lambda: count(world, Rejected) == 1, "the end")
    world.assert_nothing_lost_or_doubled(device)
    assert 666.0 not in {row.value for row in world.archived()}
    with world.database.read() as connection:
        assert connection.scalars(select(Device.name)).all() == [device.name]
