"""The devices, brokers and backends that the firmware's tests are made of."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
from tests.ports import free_port

HERE = pathlib.Path(__file__).parent
REPO = HERE.parent.parent
FIRMWARE = pathlib.Path(os.environ.get("THERMOGRAPH_FIRMWARE") or REPO / "firmware")


def wait_until(condition, seconds=10):
    """Look until it is true; its value, or an AssertionError that shows the last one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not within %s s: %r" % (seconds, value)
        time.sleep(0.01)


class Mosquitto:
    """A private broker on a port that stays the same over restarts; it persists nothing."""

    def __init__(self, folder):
        self.port = free_port()
        self._process = None
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "fridge", "cold-secret"], check=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            "listener %d 127.0.0.1\nallow_anonymous false\npassword_file %s\nuser root\npersistence false\n"
            % (self.port, passwords)
        )
        self.start()

    def start(self):
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([binary, "-c", self._config], stderr=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self._process.kill()
        self._process.wait()


class Device:
    """A device's folder, and the process that runs it."""

    def __init__(self, folder, command, environment, port, **changes):
        self.folder = folder
        self.log = folder / "console.log"
        folder.mkdir()
        fields = {
            "device": "fridge-1",
            "broker": {"host": "127.0.0.1", "port": port, "user": "fridge", "password": "cold-secret"},
            "interval": 0.05,
            "patience": 1,
            "outbox_size": 65536,
            "sensors": [{"kind": "simulated", "id": "28ff641e8216c3a1", "seed": 7, "faults": 0.2}],
        }
        fields["broker"].update(changes.pop("broker", {}))
        fields.update(changes)
        (folder / "settings.json").write_text(json.dumps(fields))
        self._command = [*command, str(FIRMWARE / "main.py"), str(folder)]
        self._environment = environment
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env={**os.environ, **self._environment}, stdout=log, stderr=log
            )

    def lines(self, word):
        """The console's lines that have this word after the time."""
        text = self.log.read_text() if self.log.exists() else ""
        return [line for line in text.splitlines() if line.split()[1:2] == [word]]

    def samples(self):
        """{seq: value or fault}, from the console: what the device says it has kept."""
        words = [line.split() for line in self.lines("sample")]
        return {int(line[6]): line[3] for line in words if len(line) == 7}

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def stop(device):
    """SIGTERM; the exit code."""
    device.process.send_signal(signal.SIGTERM)
    return device.process.wait(10)


class Backend:
    """Stores telemetry in memory and acks what is stored contiguously, as DESIGN section 1 says."""

    def __init__(self, port, acking=True):
        self.rows = {}  # seq: value or fault
        self.times = {}
        self.gaps = {}  # seq: cause
        self.stream = None
        self.stored = 0
        self.acking = acking
        self.heard = {}  # leaf: last payload
        self.messages = 0
        self._lock = threading.Lock()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("fridge", "cold-secret")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("thermograph/v1/fridge-1/#", 1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client, userdata, message):
        leaf = message.topic.rsplit("/", 1)[1]
        if leaf == "telemetry":
            with self._lock:
                self._store(json.loads(message.payload))
            if self.acking:
                self.ack(self.stored)
        self.heard[leaf] = message.payload.decode(errors="replace")

    def _store(self, message):
        assert message["v"] == 1
        self.messages += 1
        self.stream = message["stream"]
        for index, row in enumerate(message.get("r", ())):
            seq = message["seq"] + index
            value = row[2] if row[2] is not None else "fault:" + row[3]
            assert self.rows.setdefault(seq, value) == value, "seq %d has two values" % seq
            self.times[seq] = message["t"] + row[0]
        if "gap" in message:
            for seq in range(message["gap"][0], message["gap"][1] + 1):
                self.gaps.setdefault(seq, message["cause"])
        while self.stored + 1 in self.rows or self.stored + 1 in self.gaps:
            self.stored += 1

    def ack(self, seq, stream=None):
        self.say(json.dumps({"stream": stream or self.stream, "seq": seq}))

    def say(self, payload, retain=True):
        self._client.publish("thermograph/v1/fridge-1/ack", payload, 0, retain)

    def tell(self, leaf, payload):
        """Retained, as settings are; a command that is retained comes again with each connection."""
        self._client.publish("thermograph/v1/fridge-1/" + leaf, payload, 1, True)

    def forget(self, upto):
        """What a restored backup does."""
        with self._lock:
            self.rows = {seq: value for seq, value in self.rows.items() if seq <= upto}
            self.gaps, self.stored = {}, upto
        self.ack(upto)

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()


class Proxy:
    """Forwards bytes both ways, unless frozen."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.frozen = threading.Event()
        self._open = [self._listener]
        self._end = False
        self._threads = []

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        self._end = True
        for one in self._open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _start(self, work, *args):
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._end:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [near, far]
            self._start(self._forward, near, far)
            self._start(self._forward, far, near)

    def _forward(self, source, sink):
        try:
            while data := source.recv(4096):
                while self.frozen.is_set() and not self._end:
                    time.sleep(0.01)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
