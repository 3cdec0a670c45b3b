"""Link against a real broker, and against every kind of bad one; on CPython and on MicroPython.

A bad broker must cost one LinkError, within the deadline, while on_wait goes on being called.
"""

import socket
import threading

import pytest

import umqtt_now
from checks_link import TIMEOUT
from link_bench import failed_in_time, server

CONNACK = b"\x20\x02\x00\x00"


@pytest.fixture(params=["1.3.4", "1.8"], autouse=True)
def umqtt(request, interpreter, umqtt_path, tmp_path_factory):
    """Each test runs with both forms of umqtt.simple."""
    if request.param == "1.8":
        folder = umqtt_now.make(umqtt_path, tmp_path_factory.mktemp("umqtt"))
        command, environment = interpreter
        for name in set(environment) & {"PYTHONPATH", "MICROPYPATH"}:
            environment[name] = folder


def says(*parts):
    """A server that signs the client in, then says this."""

    def serve(connection):
        connection.recv(4096)
        for part in (CONNACK, *parts):
            connection.sendall(part)

    return serve


def test_silent(trial):
    with server(lambda connection: None) as port:
        seen = trial(port, "connect")
    failed_in_time(seen)
    assert "silent" in seen["error"] and seen["ms"] >= TIMEOUT - 50 and seen["calls"] >= 6


@pytest.mark.parametrize("scenario", ["publish", "subscribe"])
def test_silent_after_sign_in(trial, scenario):
    with server(says()) as port:
        seen = trial(port, scenario)
    failed_in_time(seen)
    assert "silent" in seen["error"] and seen["calls"] >= 6


@pytest.mark.parametrize("words", [b"\x40", b"\x40\x02\x00", b"\x30\x20\x00\x05thermo", b"\x90\x03\x00"])
def test_stops_in_the_middle_of_a_packet(trial, words):
    with server(says(words)) as port:
        failed_in_time(trial(port, "publish"))


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x00\x00\x00",
        b"\x20\x02\x00\x63",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x30\xff\xff\xff\x7f",
        b"\x00" * 64,
    ],
)
def test_garbage_for_a_connack(trial, words):
    def serve(connection):
        connection.recv(4096)
        connection.sendall(words)

    with server(serve) as port:
        failed_in_time(trial(port, "connect"))


@pytest.mark.parametrize(
    "words",
    [
        b"\x30\xff\xff\xff\x7f",  # 256 MiB announced
        b"\x30\x81\x80\x80\x80\x01",  # a length of five bytes
        b"\x30\x04\x00\x50ab",  # a topic longer than its packet
        b"\x30\x00",
        b"\x30\x01\x00",
        b"\x32\x03\x00\x01a",  # QoS 1 without a packet id
        b"\x34\x06\x00\x01a\x00\x01x",  # QoS 2, never asked for
        b"\x40\x00",
        b"\x40\x03\x00\x01\x00",
        b"\xd0\x01\x00",
        b"\x90\x00",
        b"\x90\x03\x00\x09\x80",
    ],
)
@pytest.mark.parametrize("scenario", ["publish", "listen"])
def test_garbage_after_sign_in(trial, scenario, words):
    with server(says(words)) as port:
        seen = trial(port, scenario)
    assert seen["error"] and not seen["connected"] and seen["longest"] <= 400, seen
    assert seen["ms"] <= (TIMEOUT if scenario == "publish" else 1000 + TIMEOUT) + 400, seen


def test_a_flood_does_not_hide_that_the_puback_is_missing(trial):
    stop = threading.Event()

    def flood(connection):
        connection.recv(4096)
        connection.sendall(CONNACK)
        while not stop.is_set():
            connection.sendall(b"\x30\x04\x00\x01ax" * 50)

    with server(flood) as port:
        seen = trial(port, "publish")
        stop.set()
    failed_in_time(seen)
    assert len(seen["messages"]) > 100


def test_refused(trial):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    seen = trial(port, "connect")
    failed_in_time(seen)
    assert seen["step"] == "tcp" and str(port) in seen["error"]


def test_closed_by_the_broker(trial):
    with server(lambda connection: connection.shutdown(socket.SHUT_RDWR)) as port:
        failed_in_time(trial(port, "connect"))


def test_half_open_is_noticed_by_the_ping(trial):
    """Signed in, then nothing comes back and nothing breaks: the ping of half the keepalive stays unanswered."""
    with server(says()) as port:
        seen = trial(port, "listen")
    assert seen["error"] == "mqtt: ping not answered", seen
    assert 1000 + TIMEOUT - 50 <= seen["ms"] <= 1000 + TIMEOUT + 400, seen


def test_pings_keep_an_idle_connection(trial, mosquitto):
    seen = trial(mosquitto.port, "listen")
    assert seen["error"] is None and seen["connected"] and seen["ms"] >= 3000


def test_wrong_password(trial, mosquitto):
    seen = trial(mosquitto.port, "connect", password="wrong")
    assert seen["step"] == "mqtt" and "refuses" in seen["error"] and "wrong" not in seen["error"], seen


def test_messages_of_all_sizes_over_the_end_of_the_packet_ids(trial, mosquitto):
    seen = trial(mosquitto.port, "echo")
    assert seen["error"] is None and not seen["connected"]
    assert seen["messages"] == [["thermograph/v1/fridge-1/ack", size * 60] for size in range(20)]
    assert 0 < seen["pid"] < 30
    assert seen["writes"] == 1 + 1 + 20 + 1, "one write for each packet: more cost 40 ms each, through Nagle"


def test_a_packet_too_big_to_send(trial, mosquitto):
    failed_in_time(trial(mosquitto.port, "too_big"))
