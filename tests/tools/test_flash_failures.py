"""Whatever keeps a board from its first reading has its own exit code, its evidence and its advice. No secret shows."""

import contextlib
import os
import select
import socket
import threading
from types import SimpleNamespace

import pytest
import serial
from serial.rfc2217 import PortManager

from backend.run import micropython
from tests.ports import free_port
from tests.servers import Mosquitto, program
from tests.tools import stand_in
from tests.tools.fake_board import powered
from tests.tools.fake_loader import Loader
from tests.tools.flash_bench import WIFI_PASSWORD, Desk, write_certificate
from tools.board import files, follow, registering, repl
from tools.board.mask import Mask

pytestmark = pytest.mark.skipif(
    not (micropython.find(os.environ) and program("mosquitto")),
    reason="MicroPython or mosquitto is not installed: python -m tools setup --for test",
)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path).open()
    yield desk
    desk.broker.close()


@pytest.fixture
def board(tmp_path):
    with powered(tmp_path / "board") as board:
        yield board


def fails(desk, board, *words, **settings):
    """Flash it; the exit code and what was said, which holds no secret."""
    networks = [{"ssid": "home", "password": WIFI_PASSWORD}]
    more = desk.settings_file(networks=networks, **settings)
    port = board if isinstance(board, str) else board.port
    result = desk.run("flash", "--port", port, "--settings", more, "--timeout", "60", *words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert [secret for secret in desk.secrets() if secret in result.output] == []
    said = result.output
    assert "✗" in said and "next: " in said, said
    return result.exit_code, said


def test_port(desk):
    code, said = fails(desk, "/dev/no-such-board")
    assert code == 10 and "✗ port" in said and "No such file" in said and "plugged in" in said


def test_a_port_where_nobody_listens(desk):
    code, said = fails(desk, f"socket://127.0.0.1:{free_port()}")
    assert code == 10 and "refused" in said and "emulator" in said


@pytest.mark.filterwarnings("ignore:set.*is deprecated:DeprecationWarning")  # pyserial 3.5's own
@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_a_board_behind_an_emulator_comes_as_far_as_one_on_a_cable(desk, board, monkeypatch, scheme):
    monkeypatch.setattr(follow, "INGEST_PATIENCE", 1.0)
    prompt = repl.connect(board.port, Mask())
    # By the quick way: mpremote waits 10 ms for each byte that comes through a socket.
    files.synchronise(prompt, files.firmware("linux"), False, lambda done, total: None)
    prompt.close()
    with bridge(board, scheme) as address:
        code, said = fails(desk, address)
    assert code == 19 and "leads to no ROM loader" in said and "✓ sensor" in said, said
    assert "0 of " in said


class PortWithoutLines(serial.Serial):
    """A pseudo-terminal has none of the lines that RFC 2217 sets and tells of."""

    cts = dsr = ri = cd = False

    def _update_dtr_state(self):
        pass

    def _update_rts_state(self):
        pass


@contextlib.contextmanager
def bridge(board, scheme):
    """The board's port as a TCP server, as emulators show theirs."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve():
        end, _ = listener.accept()
        # The client may go while it is written to: that is its right.
        with contextlib.suppress(ConnectionError), end, PortWithoutLines(board.port, timeout=0) as port:
            manager = PortManager(port, SimpleNamespace(write=end.sendall)) if scheme == "rfc2217" else None
            while not ended.is_set():
                ready, _, _ = select.select([end, port.fileno()], [], [], 0.1)
                if end in ready:
                    data = end.recv(4096)
                    if not data:
                        return
                    port.write(b"".join(manager.filter(data)) if manager else data)
                if port.fileno() in ready:
                    data = port.read(4096)
                    end.sendall(b"".join(manager.escape(data)) if manager else data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        thread.join(10)
        listener.close()


def test_chip(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(repl, "ATTEMPTS", 1)
    monkeypatch.setattr(repl, "UNTIL_PROMPT", 1.0)
    with powered(tmp_path / "board", dead=True) as board:
        code, said = fails(desk, board)
    assert code == 11 and "✗ chip" in said and "raw repl" in said and "EN (reset)" in said


def test_flash(desk, tmp_path):
    with powered(tmp_path / "board", version=(1, 20, 0)) as board:
        code, said = fails(desk, board)
    assert code == 12 and "✗ flash" in said and "MicroPython 1.20" in said and "USB port" in said


def test_filesystem(desk, board):
    code, said = fails(desk, board, interval=-5)
    assert code == 13 and "✗ filesystem" in said and "interval must be" in said and "--settings" in said
    assert not (board.folder / "settings.json").exists()


def test_wifi(desk, tmp_path):
    with powered(tmp_path / "board", trouble="home: wrong password") as board:
        code, said = fails(desk, board)
    assert code == 14, said
    assert "✗ Wi-Fi" in said and "wifi: home: wrong password" in said and "2.4 GHz" in said


def test_dns(desk, board):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        code, said = fails(desk, board, "--broker", "mqtt://broker.invalid", dns=[server])
    assert code == 15 and "✗ DNS" in said and "dns: " in said and "IP address" in said


def test_network(desk, board):
    code, said = fails(desk, board, "--broker", f"mqtt://127.0.0.1:{free_port()}")
    assert code == 16 and "✗ network" in said and "refused" in said and "firewall" in said


def test_tls(desk, board, tmp_path):
    broker = Mosquitto(tmp_path / "tls")
    write_certificate(tmp_path / "server.pem", "localhost")
    (tmp_path / "other.pem").write_text(write_certificate(tmp_path / "unused.pem", "localhost"))
    with (broker.folder / "mosquitto.conf").open("a") as settings:
        settings.write(f"certfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.pem\n")
    broker.start()
    try:
        address = f"mqtts://localhost:{broker.port}"
        code, said = fails(desk, board, "--broker", address, "--ca", tmp_path / "other.pem", broker={"timeout": 3})
    finally:
        broker.close()
    assert code == 17 and "✗ TLS" in said and "certificate is refused" in said and "--ca" in said


def test_mqtt_sign_in_as_the_board_finds_it(desk, board, tmp_path):
    other = Mosquitto(tmp_path / "other", users={"somebody": "else"})
    other.start()
    try:
        code, said = fails(desk, board, "--broker", f"mqtt://127.0.0.1:{other.port}")
    finally:
        other.close()
    assert code == 18 and "✗ MQTT sign-in" in said and "the broker refuses" in said and "registry" in said


def test_mqtt_sign_in_before_the_board_is_touched(desk, board, tmp_path, monkeypatch):
    monkeypatch.setattr(registering, "ADMISSION", 0.5)
    other = Mosquitto(tmp_path / "other", users={"somebody": "else"})
    other.start()
    desk.environment["THERMOGRAPH_BROKER"] = f"mqtt://127.0.0.1:{other.port}"
    try:
        code, said = fails(desk, board)
    finally:
        other.close()
    assert code == 18 and "Not authorized" in said and "mosquitto-passwords" in said
    assert not (board.folder / "settings.json").exists()


def test_ingest(desk, board, monkeypatch):
    monkeypatch.setattr(follow, "INGEST_PATIENCE", 2.0)
    code, said = fails(desk, board)
    assert code == 19 and "✗ ingest" in said and "nothing of it is in the database" in said
    assert "python -m backend ingest" in said and "✓ sensor" in said


def test_sensor(desk, board):
    code, said = fails(desk, board, "--timeout", "10", interval=86400)
    assert code == 20 and "✗ sensor" in said and "pull-up" in said


def test_start(desk, board):
    code, said = fails(desk, board, sensors=[])
    assert code == 21 and "✗ start" in said and "name at least one" in said


def test_a_broker_that_is_down_is_the_backends_fault_not_the_boards(desk, board):
    desk.broker.close()
    code, said = fails(desk, board)
    assert code == 69 and "✗ backend" in said and "make run" in said


def test_a_name_that_belongs_to_another_board(desk, board, tmp_path):
    assert desk.run("provision", "fridge-1", "--mac", "24:0a:c4:ff:ff:ff").exit_code == 0
    code, said = fails(desk, board, "--name", "fridge-1")
    assert code == 73 and "another board" in said


def test_an_old_micropython_is_replaced_where_there_is_a_rom_loader(desk, tmp_path, monkeypatch):
    file = stand_in.write(tmp_path / "micropython.bin")
    monkeypatch.setattr(follow, "INGEST_PATIENCE", 1.0)
    with powered(tmp_path / "board", version=(1, 20, 0)) as board:
        loader = Loader(board).install(monkeypatch)
        code, said = fails(desk, board, "--micropython", file)
    assert code == 19  # nobody ingests at this desk: it came as far as that
    assert "✓ chip" in said and "ESP32, 4 MiB flash" in said
    assert "micropython.bin written, with our partitions" in said
    assert loader.written == ["erased"]
