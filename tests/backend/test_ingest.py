"""The order the promise stands on: COMMIT, then PUBACK, then the application ack; none while the database is down."""

import socket
import struct
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from backend.bus import Bus
from backend.database import Database
from backend.errors import DatabaseUnavailable
from backend.ingest import Ingest
from backend.models import Reading
from backend.settings import Settings
from tests.backend.test_commit import gap, telemetry

pytestmark = pytest.mark.every_database

CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x05%s\x01\x01\x01"


class Watched:
    """A bus that hands out its groups, and notes how many readings another connection saw when it was told to speak."""

    def __init__(self, database, groups):
        self._database = database
        self._groups = list(groups)
        self.stop = threading.Event()
        self.said = []

    def take(self, most, linger, patience):
        if self._groups:
            return self._groups.pop(0)
        self.stop.set()
        return []

    def ack(self, messages):
        self.said.append(("puback", len(messages), self._stored()))

    def publish(self, messages, retain=False):
        self.said.append(("ack", len(list(messages)), self._stored()))

    def _stored(self):
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(Reading))


@pytest.mark.parametrize("first", [telemetry(1, 3), gap(1, 3)], ids=["readings", "gap"])
def test_commit_then_puback_then_application_ack(database, first):
    bus = Watched(database, [[first], [telemetry(4, 2), telemetry(6, 1)]])
    Ingest(database, bus, "open").run(bus.stop)
    stored = 3 if first == telemetry(1, 3) else 0
    assert bus.said == [
        ("puback", 1, stored), ("ack", 1, stored), ("puback", 2, stored + 3), ("ack", 1, stored + 3)
    ]  # fmt: skip


class Failing(Database):
    """A database that is down for the first few transactions, or loses its connection at the commit."""

    def __init__(self, url, failures):
        super().__init__(url)
        self.failures = failures

    @contextmanager
    def write(self):
        with super().write() as connection:
            yield connection
            if self.failures:
                self.failures -= 1
                raise DatabaseUnavailable("The database went away at the commit.")


def test_while_the_database_is_down_nothing_is_acked_and_nothing_is_forgotten(database, database_url):
    failing = Failing(database_url, 2)
    bus = Watched(database, [[telemetry(1, 3)], [telemetry(4, 2)]])
    try:
        Ingest(failing, bus, "open").run(bus.stop)
    finally:
        failing.close()
    assert bus.said == [("puback", 1, 3), ("ack", 1, 3), ("puback", 1, 5), ("ack", 1, 5)]


def test_pubacks_go_out_in_the_order_of_the_messages():
    """MQTT-4.6.0-2. The broker here is a socket, for no broker says in which order it was acknowledged."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        bus = Bus(Settings(broker=f"mqtt://127.0.0.1:{listener.getsockname()[1]}"), ["a", "b", "c"])
        bus.start()
        try:
            client, _ = listener.accept()
            with client:
                client.settimeout(20)
                _read_packet(client)
                client.sendall(CONNACK)
                subscribe = _read_packet(client)
                client.sendall(SUBACK % subscribe[:2])
                assert bus.wait_until_subscribed(20)
                for packet_id in (7, 3, 9):
                    client.sendall(b"\x32\x06\x00\x01a" + packet_id.to_bytes(2) + b"x")
                group = []
                while len(group) < 3:
                    group += bus.take(3, 0.02, 0.2)
                bus.ack(group)
                assert [struct.unpack("!H", _read_packet(client))[0] for _ in group] == [7, 3, 9]
        finally:
            bus.stop()


def _read_packet(client):
    """The body of the next packet, which is short."""
    _, length = client.recv(1, socket.MSG_WAITALL), client.recv(1, socket.MSG_WAITALL)[0]
    return client.recv(length, socket.MSG_WAITALL)
