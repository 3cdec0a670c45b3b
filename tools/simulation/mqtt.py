"""What a cheap device speaks of MQTT 3.1.1: one asyncio protocol a connection, 2 KB of memory each.

Client libraries bring a thread, a pair of sockets or a hundred kilobytes a client, which ten thousand in one process
cannot have. No session is kept and no packet is repeated: a device repeats by itself what its backend has not acked.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from backend.settings import Secret

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
LARGEST = 256 * 1024


class Connection(asyncio.Protocol):
    """on_open(): CONNACK said yes. on_message(topic, payload). on_close(why): once, whatever ended it."""

    __slots__ = ("_connect", "_on_close", "_on_message", "_on_open", "_packet_id", "_rest", "_transport", "_why")

    def __init__(
        self,
        connect: bytes,
        on_open: Callable[[], None],
        on_message: Callable[[bytes, bytes], None],
        on_close: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._on_open, self._on_message, self._on_close = on_open, on_message, on_close
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._packet_id = 0
        self._why = "the broker closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._connect)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (packet := self._take()) is not None:
            self._handle(*packet)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._on_close(str(error or self._why))

    def subscribe(self, topic: str) -> None:
        self._write(0x82, self._next_id() + _text(topic.encode()) + b"\x00")

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        packet_id = self._next_id() if qos else b""
        self._write(PUBLISH | qos << 1 | retain, _text(topic.encode()) + packet_id + payload)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.write(b"\xe0\x00")
            self._transport.close()

    def _take(self) -> tuple[int, bytes] | None:
        """(first byte, body) of the next packet that is all there."""
        size, at, shift = 0, 1, 0
        while True:
            if at >= len(self._rest):
                return None
            byte = self._rest[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        if size > LARGEST:
            self._fail("the broker sent what is no MQTT packet")
            return None
        if len(self._rest) < at + size:
            return None
        kind, body = self._rest[0], self._rest[at : at + size]
        self._rest = self._rest[at + size :]
        return kind, body

    def _handle(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if kind == CONNACK:
            if body[1:2] == b"\x00":
                self._on_open()
            else:
                self._fail(f"the broker refused the connection (code {body[1] if len(body) > 1 else '?'})")
        elif kind == PUBLISH and len(body) >= 2:
            end = 2 + int.from_bytes(body[:2], "big")
            qos = first >> 1 & 3
            if qos:
                self._write(PUBACK, body[end : end + 2])
            self._on_message(body[2:end], body[end + (2 if qos else 0) :])
        elif kind == SUBACK and body[2:3] >= b"\x80":
            self._fail("the broker refused the subscription to the acks")

    def _fail(self, why: str) -> None:
        self._why = why
        self._rest = b""
        if self._transport is not None:
            self._transport.close()

    def _next_id(self) -> bytes:
        self._packet_id = self._packet_id % 65535 + 1
        return struct.pack("!H", self._packet_id)

    def _write(self, first: int, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_packet(first, body))


def connect_packet(client: str, keepalive: int, will: tuple[str, bytes], user: str, password: Secret) -> bytes:
    """CONNECT with a clean session and a retained last will. keepalive: seconds, up to 65535. user: "" for nobody."""
    flags = 0x02 | 0x04 | 0x20 | (0xC0 if user else 0)
    fields = [client.encode(), will[0].encode(), will[1]] + ([user.encode(), password.encode()] if user else [])
    head = _text(b"MQTT") + bytes([4, flags]) + struct.pack("!H", keepalive)
    return _packet(0x10, head + b"".join(_text(field) for field in fields))


def _packet(first: int, body: bytes) -> bytes:
    size, head = len(body), bytearray([first])
    while True:
        size, low = size >> 7, size & 0x7F
        head.append(low | (0x80 if size else 0))
        if not size:
            return bytes(head) + body


def _text(text: bytes) -> bytes:
    return struct.pack("!H", len(text)) + text
