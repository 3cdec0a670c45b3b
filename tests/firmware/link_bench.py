"""What the Link's tests stand on: trials in a process of their own, and servers that behave badly."""

import contextlib
import json
import select
import socket
import struct
import subprocess
import threading
import time

import pytest

from checks_link import TIMEOUT
from device_bench import FIRMWARE, HERE


@pytest.fixture
def trial(interpreter):
    """trial(port, scenario, **options): what checks_link.trial saw in a process of its own."""

    def go(port, scenario, **options):
        command, environment = interpreter
        words = [*command, str(HERE / "run_link.py"), str(FIRMWARE), str(port), scenario]
        done = subprocess.run(
            words, input=json.dumps(options), capture_output=True, text=True, timeout=20, cwd=HERE, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return go


def failed_in_time(seen, step=None):
    assert seen["error"] and not seen["connected"], seen
    assert seen["ms"] <= TIMEOUT + 400, seen
    assert seen["longest"] <= 400, seen
    assert step is None or (seen["step"] == step and seen["error"].startswith(step + ": ")), seen


@contextlib.contextmanager
def server(serve):
    """A TCP server that lets serve(connection) talk to its one client; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                serve(connection)
                while connection.recv(4096):  # silent until the client goes
                    pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        assert not thread.is_alive()


class Udp:
    """A UDP server: answer(data) gives the datagrams to send back. heard: all that came."""

    def __init__(self, answer=lambda data: []):
        self.answer = answer
        self.heard = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.name = "127.0.0.1:%d" % self._socket.getsockname()[1]
        self._end = False
        self._thread = threading.Thread(target=self._work)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end = True
        self._thread.join(5)
        assert not self._thread.is_alive()
        self._socket.close()

    def _work(self):
        while not self._end:
            with contextlib.suppress(TimeoutError):
                data, source = self._socket.recvfrom(2048)
                self.heard.append(data)
                for reply in self.answer(data):
                    self._socket.sendto(reply, source)


def dns_answer(query, addresses, ttl=60, flags=0x8180, number=None):
    """An answer to this query's bytes: A records of the name asked for."""
    head = struct.pack("!HHHHHH", struct.unpack_from("!H", query)[0] if number is None else number, flags, 1,
                       len(addresses), 0, 0)  # fmt: skip
    rows = [struct.pack("!HHHIH", 0xC00C, 1, 1, ttl, 4) + socket.inet_aton(ip) for ip in addresses]
    return head + query[12:] + b"".join(rows)


class Gate:
    """Forwards bytes to a port. While it is shut it still takes connections, and lets `some` bytes a connection out."""

    def __init__(self, port, some=0):
        self._target = port
        self._some = some
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.shut = False
        self._end = False
        self._thread = threading.Thread(target=self._work)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end = True
        self._thread.join(5)
        assert not self._thread.is_alive()
        self._listener.close()

    def _work(self):
        """One thread for all: each socket has a partner, and what it may still say while the gate is shut."""
        partners, said = {}, {}
        while not self._end:
            for ready in select.select([self._listener, *partners], [], [], 0.02)[0]:
                if ready is self._listener:
                    near, far = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._target))
                    partners[near], partners[far], said[far] = far, near, 0
                elif ready in partners:
                    self._forward(ready, partners, said)
        for one in partners:
            one.close()

    def _forward(self, source, partners, said):
        size = 4096
        if self.shut:
            size = self._some - said[source] if source in said else (4096 if self._some else 0)
            if size <= 0:
                time.sleep(0.005)
                return  # stays in the buffers, and is said when the gate opens
        try:
            data = source.recv(size)
            partners[source].sendall(data)
        except OSError:
            data = b""
        if source in said:
            said[source] += len(data)
        if not data:
            sink = partners.pop(source)
            del partners[sink]
            source.close()
            sink.close()
