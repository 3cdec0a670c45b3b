"""TLS: a real mosquitto whose certificate is good, and every way in which it is not; on CPython and on MicroPython."""

import select
import socket
import ssl

import pytest

from checks_link import TIMEOUT
from link_bench import failed_in_time, server
from tls_bench import Authority, TlsMosquitto


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def tls_broker(authority, tmp_path):
    """tls_broker(**certificate): a mosquitto with TLS; see Authority.issue."""
    made = []

    def make(issuer=authority, **certificate):
        made.append(TlsMosquitto(tmp_path, issuer.issue(tmp_path / "broker.pem", **certificate)))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def tls(authority, host="localhost"):
    return {"ca": authority.pem, "host": host}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_messages_of_all_sizes(trial, tls_broker, authority, host):
    seen = trial(tls_broker().port, "echo", tls=tls(authority, host))
    assert seen["error"] is None and not seen["connected"]
    assert seen["messages"] == [["thermograph/v1/fridge-1/ack", size * 60] for size in range(20)]


def test_pings_keep_an_idle_connection(trial, tls_broker, authority):
    """TLS 1.3 sends tickets after the handshake: they are no packets, and nothing waits for one because of them."""
    seen = trial(tls_broker().port, "listen", tls=tls(authority))
    assert seen["error"] is None and seen["connected"] and seen["longest"] <= 400, seen


def test_connections_leave_nothing_behind(trial, tls_broker, authority):
    seen = trial(tls_broker().port, "churn", tls=tls(authority))
    assert seen["error"] is None and seen["longest"] <= 400, seen
    (pages, free), (pages_after, free_after) = [(int(topic), size) for topic, size in seen["messages"]]
    assert pages_after <= pages + 100 and free_after >= free - 4, seen


@pytest.mark.parametrize(
    ("host", "certificate"),
    [
        ("localhost", {"names": ["broker.example"]}),
        ("broker.example", {"names": ["*.broker.example"]}),
        ("localhost", {"begin": -10, "end": -1}),
        ("localhost", {"begin": 1, "end": 10}),
    ],
    ids=["name", "wildcard", "expired", "not-yet"],
)
def test_a_certificate_that_is_not_good_is_refused(trial, tls_broker, authority, host, certificate):
    seen = trial(tls_broker(**certificate).port, "connect", tls=tls(authority, host))
    failed_in_time(seen, "tls")
    assert "the broker's certificate is refused: " in seen["error"], seen


def test_a_stranger_s_signature_is_refused(trial, tls_broker, authority):
    """Of the same name as the authority that is trusted, too."""
    seen = trial(tls_broker(issuer=Authority()).port, "connect", tls=tls(authority))
    failed_in_time(seen, "tls")
    assert "the broker's certificate is refused: " in seen["error"], seen


def test_a_clock_that_is_not_set_trusts_nobody(trial, tls_broker, authority):
    seen = trial(tls_broker().port, "connect", tls=tls(authority), quality="none")
    failed_in_time(seen, "tls")
    assert "clock" in seen["error"]


def test_a_ca_that_is_none(trial, tls_broker):
    broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    failed_in_time(trial(tls_broker().port, "connect", tls={"ca": broken, "host": "localhost"}), "tls")


def test_a_broker_without_tls(trial, mosquitto, authority):
    failed_in_time(trial(mosquitto.port, "connect", tls=tls(authority)), "tls")


@pytest.mark.parametrize("words", [b"", b"\x16\x03\x03", b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03abcdef"])
def test_stalls_in_the_handshake(trial, authority, words):
    """Silent, or after so many bytes of its first record: others are called all the while, and the deadline holds."""

    def serve(connection):
        connection.recv(4096)
        connection.sendall(words)

    with server(serve) as port:
        seen = trial(port, "connect", tls=tls(authority))
    failed_in_time(seen, "tls")
    assert "silent" in seen["error"] and seen["ms"] >= TIMEOUT - 50 and 6 <= seen["calls"] <= 40, seen


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_stalls_half_way_through_real_records(trial, tls_broker, authority, share):
    """What a real broker says, cut off at this share of it."""
    port = tls_broker().port
    said = []
    with server(lambda connection: said.append(relay(connection, port, 1 << 20))) as between:
        trial(between, "connect", tls=tls(authority))
    with server(lambda connection: relay(connection, port, int(said[0] * share))) as between:
        seen = trial(between, "connect", tls=tls(authority))
    failed_in_time(seen)
    assert "silent" in seen["error"] and seen["calls"] >= 6, seen


def relay(connection, port, limit):
    """Let the broker on this port say so many bytes, and then nothing more; how many it said."""
    said = 0
    with socket.create_connection(("127.0.0.1", port)) as far:
        while said < limit:
            source = select.select([connection, far], [], [])[0][0]
            data = source.recv(4096 if source is connection else min(4096, limit - said))
            if not data:
                break
            if source is connection:
                far.sendall(data)
            else:
                said += len(data)
                connection.sendall(data)
    return said


def test_garbage_for_a_server_hello(trial, authority):
    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00" + bytes(200))

    with server(serve) as port:
        failed_in_time(trial(port, "connect", tls=tls(authority)), "tls")


def test_silent_after_the_handshake(trial, authority, tmp_path):
    """Then it is not TLS that fails."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(tmp_path / "broker.pem"))

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secured:
            while secured.recv(4096):
                pass

    with server(serve) as port:
        seen = trial(port, "connect", tls=tls(authority))
    failed_in_time(seen, "mqtt")
    assert "silent" in seen["error"] and seen["calls"] >= 6, seen
