"""The gateway's doors: what is answered, what is bounded, who is named. Real sockets; the broker is away."""

import http.client
import http.server
import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from backend.errors import PortBusy, SettingsError
from backend.gateway import frames, limits, poll, service
from backend.gateway.outbox import Outbox
from backend.settings import Settings
from tests.ports import free_port
from tests.servers import wait_for
from tools.tcp_send import tcp_send

MORE = {"gateway_idle": 30.0}


class Gateway:
    def __init__(self, folder, **more):
        self.tcp, self.http = free_port(), free_port()
        self.settings = Settings(
            state_dir=folder,
            broker=f"mqtt://127.0.0.1:{free_port()}",
            gateway_tcp=f"127.0.0.1:{self.tcp}",
            gateway_http=f"127.0.0.1:{self.http}",
            **{**MORE, **more},
        )

    @contextmanager
    def running(self):
        stop, ready = threading.Event(), threading.Event()
        failures = []

        def run():
            try:
                service.run(self.settings, stop, ready.set)
            except BaseException as error:
                failures.append(error)
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(20)
            assert failures == []
            yield self
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()
        assert failures == []

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.tcp), 10)

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, start):
        found = [line for line in self.ask("GET", "/metrics")[1].splitlines() if line.startswith(start)]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@pytest.fixture
def gateway(tmp_path):
    with Gateway(tmp_path).running() as running:
        yield running


def everything(connection):
    """Until the other end closes."""
    data = b""
    while True:
        try:
            more = connection.recv(4096)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def test_lines_are_answered_in_their_order(gateway):
    with gateway.connect() as client:
        client.sendall(b'temperature,21.4\nhello\n\ntemperature 21.5 C\n{"name": "t", "value": 2}\nrest')
        client.shutdown(socket.SHUT_WR)
        answers = everything(client).decode().splitlines()
    assert answers[0] == "ok 1"
    assert answers[1].startswith("error a line is name,value")
    assert answers[2:] == ["ok 2", "ok 3"]
    wait_for(lambda: gateway.metric("thermograph_gateway_lines_unfinished_total") == 1, "count of the unfinished line")


def test_the_same_id_again_is_the_same_reading(gateway):
    for _ in range(2):
        with gateway.connect() as client:
            client.sendall(b"temperature,21.4 #a\ntemperature,21.4 #b\n")
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == b"ok 1\nok 2\n"


def test_a_line_without_end_is_cut_off_and_its_client_named(gateway):
    with gateway.connect() as client, pytest.raises(OSError):
        for _ in range(100_000):
            client.sendall(b"x" * 10_000)
    assert gateway.metric('thermograph_gateway_trouble_total{kind="long",client="127.0.0.1"}') == 1
    with gateway.connect() as client:
        client.sendall(b"a" * 1024 + b",1\n")
        assert everything(client).startswith(b"error long: ")


def test_who_only_talks_nonsense_is_closed(gateway):
    with gateway.connect() as client:
        client.sendall(b"x\n" * 19 + b"t,1\n" + b"x\n" * 1000)
        answers = everything(client).decode().splitlines()
    assert answers[19] == "ok 1"
    assert answers[-1].startswith("error malformed: 20 lines in a row")
    assert len(answers) == 41


def test_who_hangs_or_dawdles_is_closed(tmp_path):
    with Gateway(tmp_path, gateway_idle=1.0).running() as gateway:
        with gateway.connect() as silent:
            assert everything(silent).startswith(b"error silent")
        # Bytes alone do not buy time: only a whole line does.
        with gateway.connect() as slow, pytest.raises(OSError):
            for _ in range(200):
                slow.sendall(b"t")
                time.sleep(0.05)
        assert gateway.metric('thermograph_gateway_trouble_total{kind="silent"') == 1
        assert gateway.metric('thermograph_gateway_trouble_total{kind="slow"') == 1


def test_a_slow_disk_is_not_the_client_s_silence(tmp_path, monkeypatch):
    append = Outbox.append
    monkeypatch.setattr(Outbox, "append", lambda self, entries: (time.sleep(1.5), append(self, entries))[1])
    with Gateway(tmp_path, gateway_idle=1.0).running() as gateway:
        with gateway.connect() as client:
            client.sendall(b"t,1\n")
            assert client.recv(100) == b"ok 1\n"
            assert everything(client).startswith(b"error silent")
        assert gateway.ask("POST", "/readings", "t,2")[0] == 200


def test_what_came_while_the_gateway_slept_is_read_before_anybody_is_called_silent(tmp_path, monkeypatch):
    """One client makes the whole process stand still for longer than others may be silent: they have not been."""
    asleep, parse = threading.Event(), frames.parse

    def sleep_at_zzz(line, pattern):
        if line == b"zzz":
            asleep.set()
            time.sleep(2)
        return parse(line, pattern)

    monkeypatch.setattr(frames, "parse", sleep_at_zzz)
    with (
        Gateway(tmp_path, gateway_idle=1.0).running() as gateway,
        gateway.connect() as tcp,
        socket.create_connection(("127.0.0.1", gateway.http), 10) as http,
        gateway.connect() as sleeper,
    ):
        tcp.sendall(b"t,1\nt,")
        assert tcp.recv(100) == b"ok 1\n"
        sleeper.sendall(b"zzz\n")
        assert asleep.wait(10)
        tcp.sendall(b"2\n")
        http.sendall(b"POST /readings HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nt,3")
        assert tcp.recv(100) == b"ok 2\n"
        assert b" 200 " in http.recv(1000)


def test_who_reads_no_answers_is_read_no_further_and_closed(tmp_path):
    with Gateway(tmp_path, gateway_idle=2.0, gateway_rate=1e6).running() as gateway:
        with socket.socket() as client, pytest.raises(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(10)
            client.connect(("127.0.0.1", gateway.tcp))
            while True:
                client.sendall(b"t,1\n" * 1_000)
        assert gateway.metric('thermograph_gateway_trouble_total{kind="slow"') == 1


def test_a_flood_is_slowed_and_loses_nothing(tmp_path):
    with Gateway(tmp_path, gateway_rate=200.0).running() as gateway:
        with gateway.connect() as client:
            client.sendall(b"".join(b"t,%d\n" % n for n in range(2600)))
            client.shutdown(socket.SHUT_WR)
            client.settimeout(60)
            answers = everything(client).decode().split("\n")[:-1]
        assert answers == [f"ok {n}" for n in range(1, 2601)]
        assert gateway.metric('thermograph_gateway_trouble_total{kind="flooding"') >= 1


def test_one_address_has_so_many_connections_and_no_more(tmp_path):
    with Gateway(tmp_path, gateway_per_address=3).running() as gateway:
        clients = [gateway.connect() for _ in range(3)]
        for client in clients:
            client.sendall(b"t,1\n")
            assert client.recv(10).startswith(b"ok")
        with gateway.connect() as another:
            assert everything(another).startswith(b"error crowding: 3 connections")
        with socket.create_connection(("127.0.0.1", gateway.tcp), 10, source_address=("127.0.0.2", 0)) as elsewhere:
            elsewhere.sendall(b"t,1\n")
            assert elsewhere.recv(10) == b"ok 1\n"
        for client in clients:
            client.close()
        wait_for(lambda: gateway.metric("thermograph_gateway_connections ") <= 1, "closed connections")


def test_http(gateway):
    status, text = gateway.ask("POST", "/readings", "temperature,21.4\nhumidity,40\n", {"Idempotency-Key": "k"})
    assert (status, json.loads(text)["answers"]) == (200, ["ok 1", "ok 2"])
    assert gateway.ask("POST", "/readings", "temperature,21.4\nhumidity,40\n", {"Idempotency-Key": "k"})[1] == text
    status, text = gateway.ask("POST", "/readings", '{"name": "t", "value": 1}\nnonsense')
    assert status == 400
    assert json.loads(text)["answers"][0] == "ok 3"
    assert gateway.ask("GET", "/readings")[0] == 405
    assert gateway.ask("GET", "/")[0] == 404
    assert gateway.ask("POST", "/readings", b"t,1\n" * 20_000)[0] == 413
    assert gateway.ask("POST", "/readings", "")[0] == 400
    with socket.create_connection(("127.0.0.1", gateway.http), 10) as client:
        client.sendall(b"\x16\x03\x01" + b"\0" * 200 + b"\r\n\r\n")
        assert b" 400 " in everything(client)
    with socket.create_connection(("127.0.0.1", gateway.http), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000)
        assert b" 431 " in everything(client)
    assert gateway.metric("thermograph_gateway_readings_kept_total") == 5


class Old(http.server.BaseHTTPRequestHandler):
    """A sensor that only serves HTTP."""

    def do_GET(self):
        self.send_response(200 if self.path == "/t" else 500)
        self.end_headers()
        self.wfile.write(b" 21.5\r\n")

    def log_message(self, *_):
        pass


def test_a_sensor_that_only_serves_http_is_asked(tmp_path):
    sensor = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old)
    serving = threading.Thread(target=sensor.serve_forever)
    serving.start()
    base = f"http://127.0.0.1:{sensor.server_address[1]}"
    polls = tmp_path / "polls.toml"
    polls.write_text(
        f'[[sensor]]\nurl = "{base}/t"\ndevice = "old"\nevery = 1\nname = "temperature"\n'
        f'[[sensor]]\nurl = "{base}/broken"\ndevice = "broken"\nevery = 1\n'
    )
    try:
        with Gateway(tmp_path, gateway_polls=str(polls)).running() as gateway:
            wait_for(
                lambda: gateway.metric("thermograph_gateway_readings_kept_total") >= 2, "readings of the old sensor"
            )
            wait_for(
                lambda: gateway.metric('thermograph_gateway_trouble_total{kind="poll"') >= 1, "the broken one's name"
            )
            assert gateway.metric("thermograph_gateway_sensors ") == 1
    finally:
        sensor.shutdown()
        serving.join()
        sensor.server_close()


@pytest.mark.parametrize(
    "text", ["[[sensor]]\nurl=1", '[[sensor]]\nurl="ftp://x"\ndevice="a"', "x", "[[sensor]]\ndevice='a'"]
)
def test_a_wrong_file_of_polls_is_named(tmp_path, text):
    (tmp_path / "polls.toml").write_text(text)
    with pytest.raises(SettingsError, match="GATEWAY_POLLS"):
        poll.read(str(tmp_path / "polls.toml"))


def test_tcp_send_shows_the_conversation(gateway):
    sent = CliRunner().invoke(tcp_send, [f"127.0.0.1:{gateway.tcp}", "temperature=21.4", "temp=70", "--device", "hall"])
    assert sent.exit_code == 0, sent.output
    assert "> hall/temperature,21.4 #" in sent.output
    assert "< ok 2" in sent.output
    refused = CliRunner().invoke(tcp_send, [f"127.0.0.1:{gateway.tcp}", "temperature=warm"])
    assert "error 'warm' is no number" in refused.output
    assert refused.exit_code != 0


def test_a_port_that_is_taken(gateway, tmp_path):
    stop = threading.Event()
    settings = Settings(state_dir=tmp_path / "other", gateway_tcp=f"127.0.0.1:{gateway.tcp}", gateway_http="")
    with pytest.raises(PortBusy, match="THERMOGRAPH_GATEWAY_TCP"):
        service.run(settings, stop, stop.set)


def test_too_few_open_files_are_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(limits, "raise_open_files", lambda wanted: 100)
    with pytest.raises(SettingsError, match="ulimit -Hn"):
        limits.Limits.of(Settings())
