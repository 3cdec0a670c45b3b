"""What the benchmarks send: telemetry of many devices, encoded beforehand: the publisher is never the slow part."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

START = 1_763_812_345_000
READ = 65_536
# Messages on their way to the broker: more than it takes at once, fewer than packet ids.
WINDOW = 20_000
PACKET_IDS = 65_535


@dataclass(frozen=True)
class Load:
    """messages QoS 1 publishes of `readings` readings each, from `devices` devices in turn, a second a reading."""

    messages: int
    devices: int = 100
    readings: int = 1

    @property
    def total(self) -> int:
        """Readings in all."""
        return self.messages * self.readings

    def packets(self) -> Iterator[bytes]:
        per = self.readings
        topics = [f"thermograph/v1/{self.name(device)}/telemetry".encode() for device in range(self.devices)]
        heads = [len(topic).to_bytes(2) + topic for topic in topics]
        for number in range(self.messages):
            turn, device = divmod(number, self.devices)
            seq = turn * per + 1
            rows = ",".join([f"[{i * 1000},0,{20 + (number * 7 + i * 13) % 1000 / 64}]" for i in range(per)])
            payload = (
                f'{{"v":1,"stream":"{device:08x}","seq":{seq},"t":{START + seq * 1000},"tq":"ntp",'
                f'"ch":[["28ff641e8216c3a1","Cel"]],"r":[{rows}]}}'
            ).encode()
            body = heads[device] + (number % PACKET_IDS + 1).to_bytes(2) + payload
            yield b"\x32" + _length(len(body)) + body

    @staticmethod
    def name(device: int) -> str:
        return f"bench-{device:04}"


class Publisher:
    """Sends a load to the broker; join() waits until the broker has acknowledged all of it."""

    def __init__(self, port: int, load: Load) -> None:
        """Encodes everything: takes about 3 us a message."""
        self._packets = list(load.packets())
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench")
        if self._socket.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("the broker refused the publisher")
        self._acked = 0
        self._room = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="publisher's acks", daemon=True)

    def run(self, rate: float = 0.0) -> None:
        """Send everything, `rate` messages a second (0: as fast as the broker takes it), and wait for the last ack."""
        self._reader.start()
        sent, started, count = 0, time.monotonic(), len(self._packets)
        step = 400 if not rate else max(1, int(rate / 100))
        while sent < count:
            with self._room:
                while sent + step - self._acked > WINDOW:
                    self._room.wait()
            if rate:
                time.sleep(max(0.0, started + sent / rate - time.monotonic()))
            self._socket.sendall(b"".join(self._packets[sent : sent + step]))
            sent += step
        with self._room:
            self._room.wait_for(lambda: self._acked >= count)
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()

    def _read(self) -> None:
        size = 0
        while size // 4 < len(self._packets) and (data := self._socket.recv(READ)):
            size += len(data)
            with self._room:
                self._acked = size // 4
                self._room.notify()


def publish(port: int, load: Load, rate: float = 0.0) -> None:
    """Send a load and wait until the broker has all of it."""
    Publisher(port, load).run(rate)


def _length(size: int) -> bytes:
    found = bytearray()
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    found.append(size)
    return bytes(found)
