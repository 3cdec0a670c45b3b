"""The fast client: whatever comes in one read, in whatever pieces, is what was sent; else the stock client is used."""

import gc
import logging
import random
import socket
import subprocess

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from backend import fast_client
from backend.bus import Bus, Message, Pulse, Waiting
from backend.errors import SettingsError
from backend.fast_client import FastClient, StockClient, best_client_class
from backend.settings import Settings
from tests.ports import free_port
from tests.servers import Mosquitto, program, wait_for

TOPIC = "thermograph/v1/fridge-1/telemetry"
MOSQUITTO = pytest.mark.skipif(not program("mosquitto"), reason="mosquitto is not installed")


def packet(payload, mid, topic=b"a/b", properties=b""):
    body = len(topic).to_bytes(2) + topic + mid.to_bytes(2) + properties + payload
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return b"\x32" + bytes(length) + body


@pytest.fixture
def wire():
    """A client on one end of a socket, connected as far as it knows; the other end; what was delivered."""
    made = []

    def make(protocol=mqtt.MQTTv311):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        client = FastClient("test", protocol, "tcp")
        client._sock = ours
        taken = []
        client.on_messages = taken.extend
        made.append((client, theirs))
        return client, theirs, taken

    yield make
    for client, theirs in made:
        client._reset_sockets()
        theirs.close()


@pytest.mark.parametrize("seed", range(20))
def test_messages_come_out_whole_however_the_bytes_are_cut(wire, seed):
    chance = random.Random(seed)
    client, theirs, taken = wire()
    sizes = [chance.choice([0, 1, 100, 127, 128, 5_000, 20_000]) for _ in range(30)]
    sent = [(b"a/b", chance.randbytes(size), mid) for mid, size in enumerate(sizes, 1)]
    stream = b"".join(packet(payload, mid) + chance.choice([b"", b"\xd0\x00"]) for _, payload, mid in sent)
    while stream:
        cut = chance.choice([1, 2, 3, 7, 500, 30_000])
        theirs.sendall(stream[:cut])
        stream = stream[cut:]
        assert client.loop_read() == mqtt.MQTT_ERR_SUCCESS
    assert taken == sent


def test_after_a_small_read_more_is_gathered_and_after_a_large_one_not(wire, monkeypatch):
    client, theirs, taken = wire()
    waits = []
    monkeypatch.setattr(fast_client.time, "sleep", waits.append)
    for payload in (b"one", b"two", bytes(fast_client.SMALL), b"three"):
        theirs.sendall(packet(payload, 1))
        client.loop_read()
    assert [payload for _, payload, _ in taken] == [b"one", b"two", bytes(fast_client.SMALL), b"three"]
    # Before the second and the third read; what came in the third was much.
    assert len(waits) == 2 and all(0 < wait <= fast_client.GATHER for wait in waits)


def test_properties_of_mqtt_5_are_no_part_of_the_payload(wire):
    client, theirs, taken = wire(mqtt.MQTTv5)
    many = Properties(PacketTypes.PUBLISH)
    many.UserProperty = [("name" * 20, "value" * 20)] * 3
    theirs.sendall(packet(b"short", 1, properties=b"\0") + packet(b"long", 2, properties=many.pack()))
    assert client.loop_read() == mqtt.MQTT_ERR_SUCCESS
    assert taken == [(b"a/b", b"short", 1), (b"a/b", b"long", 2)]


@pytest.mark.parametrize("garbage", [b"\x32\xff\xff\xff\xff\x01", b"\x32\x02\xff\xff", b"\x32\x04\x00\x01a\x00"])
def test_what_is_no_mqtt_ends_the_connection(wire, garbage):
    client, theirs, taken = wire()
    theirs.sendall(garbage + b"\0" * 10)
    assert client.loop_read() != mqtt.MQTT_ERR_SUCCESS
    assert taken == []


def test_what_was_left_of_one_connection_is_no_part_of_the_next(wire):
    client, theirs, taken = wire()
    theirs.sendall(packet(b"half", 1)[:6])
    client.loop_read()
    client._sock.close()
    theirs.close()
    client._sock, theirs = socket.socketpair()
    theirs.sendall(packet(b"whole", 2))
    client.loop_read()
    theirs.close()
    assert taken == [(b"a/b", b"whole", 2)]


def test_the_self_test_passes_with_the_installed_paho():
    assert best_client_class() is FastClient


def test_another_paho_gets_the_stock_client_and_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(fast_client.mqtt.Client, "_packet_handle", None)
    with caplog.at_level(logging.WARNING):
        assert best_client_class() is StockClient
    assert "one by one" in caplog.text


def test_waiting_messages_are_bounded_by_number_and_by_bytes():
    waiting = Waiting(10, 1000)
    waiting.add(9, 900)
    assert waiting.has_room()
    waiting.add(1, 1)
    assert not waiting.has_room()
    waiting.remove(9, 900)
    assert waiting.has_room()
    waiting.add(1, 1000)
    assert not waiting.has_room()


def test_only_silence_that_was_watched_is_a_wedge(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("backend.bus.time.monotonic", lambda: now[0])
    pulse = Pulse(10.0)
    now[0] += 3600  # the process was stopped for an hour
    assert not pulse.stopped()
    for _ in range(8):
        now[0] += 1
        assert not pulse.stopped()
    now[0] += 1
    assert pulse.stopped()
    pulse.beat()
    assert not pulse.stopped()


@pytest.fixture
def broker(tmp_path):
    """A mosquitto with a TLS listener, a WebSocket one, and one for both."""
    broker = Mosquitto(tmp_path / "broker")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, "-keyout", "key", "-out", "pem", *names], cwd=tmp_path, check=True, capture_output=True)
    secure = f"certfile {tmp_path}/pem\nkeyfile {tmp_path}/key\n"
    broker.ports = {"mqtt": broker.port, **{scheme: free_port() for scheme in ("mqtts", "ws", "wss")}}
    with (broker.folder / "mosquitto.conf").open("a") as conf:
        for scheme in ("mqtts", "ws", "wss"):
            conf.write(f"listener {broker.ports[scheme]} 127.0.0.1\n")
            conf.write("protocol websockets\n" if "ws" in scheme else "")
            conf.write(secure if scheme in ("mqtts", "wss") else "")
    broker.ca = str(tmp_path / "pem")
    broker.start()
    yield broker
    broker.close()


def take(bus, count):
    taken: list[Message] = []
    wait_for(lambda: taken.extend(bus.take(10_000, 0.02, 0.1)) or len(taken) >= count, f"{count} messages", 30)
    return taken


@MOSQUITTO
@pytest.mark.skipif(not program("openssl"), reason="openssl is not installed")
@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize(("client", "schemes"), [(FastClient, ("mqtt", "mqtts", "ws", "wss")), (StockClient, ("wss",))])
def test_every_way_to_the_broker_brings_all_messages_and_takes_all_acks(broker, version, client, schemes):
    for scheme in schemes:
        port = broker.ports[scheme]
        settings = Settings(
            broker=f"{scheme}://127.0.0.1:{port}", broker_ca=broker.ca, broker_version=version, ingest_id=scheme
        )
        publisher = Settings(broker=f"mqtt://127.0.0.1:{broker.port}", ingest_id="publisher")
        sender = Bus(publisher, ["acks"])
        sender.start()
        bus = Bus(settings, [TOPIC], client)
        bus.start()
        assert bus.wait_until_subscribed(20), scheme
        assert sender.wait_until_subscribed(20)
        # More than mosquitto's window of 20 messages: without acks the rest would not come.
        payloads = [str(n).encode() * 100 for n in range(300)]
        subprocess.run(
            [program("mosquitto_pub"), "-p", str(broker.port), "-t", TOPIC, "-q", "1", "-l"],
            input=b"\n".join(payloads), check=True,
        )  # fmt: skip
        taken: list[Message] = []

        def all_taken(bus=bus, taken=taken):
            group = bus.take(10_000, 0.02, 0.1)
            bus.ack(group)
            taken.extend(group)
            return len(taken) >= 300

        wait_for(all_taken, f"300 messages by {scheme}", 30)
        assert [message.payload for message in taken] == payloads, scheme
        bus.publish([("acks", b"1"), ("acks", b"2" * 300)])
        assert [message.payload for message in take(sender, 2)] == [b"1", b"2" * 300]
        for each in (bus, sender):
            each.stop()


@MOSQUITTO
# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(broker, caplog):
    settings = Settings(broker=f"mqtts://127.0.0.1:{broker.ports['mqtts']}")
    bus = Bus(settings, [TOPIC])
    bus.start()
    wait_for(lambda: "certificate verify failed" in caplog.text, "refusal")
    assert not bus.wait_until_subscribed(0)
    bus.stop()
    gc.collect()


def test_a_ca_file_that_is_none_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match="THERMOGRAPH_BROKER_CA"):
        Bus(Settings(broker="mqtts://127.0.0.1:1", broker_ca=str(tmp_path / "none.pem")), [TOPIC])


@MOSQUITTO
def test_while_there_is_no_room_the_broker_holds_back_and_the_connection_stays(broker, monkeypatch):
    settings = Settings(broker=f"mqtt://127.0.0.1:{broker.port}", ingest_batch=1)
    with (broker.folder / "mosquitto.conf").open("a") as conf:
        conf.write("max_inflight_messages 0\n")
    bus = Bus(settings, [TOPIC])
    bus.start()
    assert bus.wait_until_subscribed(10)
    first, rest = b"\n".join([b"x" * 1000] * 3), b"\n".join([b"y" * 1000] * 200)
    publish = ["mosquitto_pub", "-p", str(broker.port), "-t", TOPIC, "-q", "1", "-l"]
    subprocess.run(publish, input=first, check=True)
    wait_for(lambda: not bus._waiting.has_room(), "3 messages in memory")
    subprocess.run(publish, input=rest, check=True)
    assert bus._waiting._in == 3
    taken = []

    def all_taken():
        group = bus.take(10, 0.02, 0.1)
        bus.ack(group)
        taken.extend(group)
        return len(taken) >= 203

    wait_for(all_taken, "all of them")
    assert {message.connection for message in taken} == {taken[0].connection}
    bus.stop()
