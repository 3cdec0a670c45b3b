"""A load without end: readings published at one rate, made as they are sent, so that it takes no memory."""

import itertools
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass

from .load import READ, WINDOW, Load

STEP = 0.02  # seconds between two sendings
PATIENCE = 60.0


@dataclass(frozen=True)
class Sent:
    """at: time.monotonic(); total: messages sent up to then."""

    at: float
    total: int


class Steady:
    """Publishes a load at QoS 1. total and acked: messages sent, and those that the broker has taken."""

    def __init__(self, port: int, load: Load, rate: float) -> None:
        self._packets = load.packets()
        self._rate = rate
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04soak")
        if self._socket.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("the broker refused the publisher")
        self._history: deque[Sent] = deque()
        self._room = threading.Condition()
        self._over = threading.Event()
        self.total = self.acked = 0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._send)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more; returns when the broker has acknowledged all that was sent."""
        self._over.set()
        self._threads[1].join(PATIENCE)
        with self._room:
            self._room.wait_for(lambda: self.acked >= self.total, PATIENCE)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._socket.close()

    def lag(self, stored: int) -> float:
        """Seconds since the oldest message that is not among the `stored` oldest was sent; 0 if all are."""
        with self._room:
            while self._history and self._history[0].total <= stored:
                self._history.popleft()
            return time.monotonic() - self._history[0].at if self._history else 0.0

    def _send(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(STEP):
            due = int((time.monotonic() - begun) * self._rate)
            with self._room:
                count = min(due - self.total, WINDOW - (self.total - self.acked))
            packets = list(itertools.islice(self._packets, max(0, count)))
            if not packets:
                continue
            with self._room:
                self.total += len(packets)
                self._history.append(Sent(time.monotonic(), self.total))
            self._socket.sendall(b"".join(packets))

    def _read(self) -> None:
        size = 0
        while data := self._socket.recv(READ):
            size += len(data)
            with self._room:
                self.acked = size // 4
                self._room.notify_all()
