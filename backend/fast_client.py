"""paho's client with one method overridden: it reads all that has arrived at once, and not byte by byte.

Loops, TLS, WebSockets and reconnecting stay paho's. What is overridden is private to paho 2.x, so the requirement is
pinned below 3, and `best_client_class` tries it out before it is used: when it does not work, the stock client is used.

Both classes here deliver the same way: on_messages([(topic, payload, packet id or 0)]), and are acknowledged by
ack_many([packet id]). A packet id counts only on the connection that brought it.
"""

import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

log = logging.getLogger(__name__)

Delivery = list[tuple[bytes, bytes, int]]
READ = 256 * 1024
# A TLS record has no more (RFC 8446, section 5.1), and Python makes room for all that is asked for, a record each time.
RECORD = 16 * 1024
# A read costs as much as a dozen messages: after one of less than SMALL, the next waits until GATHER has passed.
SMALL, GATHER = 16 * 1024, 0.004
PUBACK = 0x40
PUBACK_HEADER = 0x4002
HOLD = 0.02


class StockClient(mqtt.Client):
    """paho as it is, behind the interface of FastClient."""

    def __init__(self, client_id: str, protocol: int, transport: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if protocol == mqtt.MQTTv5 else False,
            protocol=MQTTProtocolVersion(protocol),
            transport=transport,  # type: ignore[arg-type]
            manual_ack=True,
        )
        self.on_messages: Callable[[Delivery], None] = _ignore
        self.has_room: Callable[[], bool] = _always
        self.turned: Callable[[], None] = _nothing
        self.on_message = self._deliver_one
        # With this callback set, paho leaves all writing to the loop's own thread. Without it, the thread that
        # acknowledges would write as well, perhaps into the middle of a packet.
        self.on_socket_register_write = _leave_it_to_the_loop

    def run(self) -> None:
        """Connect and work until disconnect(). Raises what a callback raises.

        loop_forever() makes no pair of sockets to be woken by, as loop_start() does: without one, what another thread
        sends would wait until something arrives, or for a second.
        """
        self._sockpairR, self._sockpairW = mqtt._socketpair_compat()
        self.loop_forever(retry_first_connection=True)

    def ack_many(self, packet_ids: Iterable[int]) -> None:
        for packet_id in packet_ids:
            self.ack(packet_id, 1)

    def publish_many(self, messages: Iterable[tuple[str, bytes, bool]]) -> None:
        """(topic, payload, retain), at most once (QoS 0)."""
        for topic, payload, retain in messages:
            self.publish(topic, payload, qos=0, retain=retain)

    def loop_misc(self) -> MQTTErrorCode:
        self.turned()
        return super().loop_misc()

    def _deliver_one(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self.on_messages([(message._topic, bytes(message.payload), message.mid if message.qos else 0)])

    def _packet_read(self) -> MQTTErrorCode:
        # While there is no room nothing is read, so that the broker holds it back; the loop goes on and sends pings.
        if not self.has_room():
            time.sleep(HOLD)
            with self._msgtime_mutex:
                self._last_bytes_received = time.monotonic()
                self._ping_t = 0.0
            return MQTTErrorCode.MQTT_ERR_AGAIN
        return self._read_packets()

    def _read_packets(self) -> MQTTErrorCode:
        return super()._packet_read()


class FastClient(StockClient):
    """Parses every PUBLISH of one read in one loop, and joins PUBACKs and publishes into one write."""

    def __init__(self, client_id: str, protocol: int, transport: str) -> None:
        super().__init__(client_id, protocol, transport)
        self._rest = b""
        self._read_from: Any = None
        self._gather_until = 0.0

    def ack_many(self, packet_ids: Iterable[int]) -> None:
        ids = list(packet_ids)
        words = [PUBACK_HEADER] * (2 * len(ids))
        words[1::2] = ids
        self._send(struct.pack(f"!{len(words)}H", *words))

    def publish_many(self, messages: Iterable[tuple[str, bytes, bool]]) -> None:
        properties = b"\0" if self._protocol == mqtt.MQTTv5 else b""
        packets = [_publish(topic.encode(), payload, retain, properties) for topic, payload, retain in messages]
        self._send(b"".join(packets))

    def _send(self, packets: bytes) -> None:
        # Queued as one packet of a kind that paho does nothing more about once it is written.
        if packets:
            self._packet_queue(PUBACK, packets, 0, 1)

    def _read_packets(self) -> MQTTErrorCode:
        wait = self._gather_until - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            data, lost = self._receive()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._gather_until = time.monotonic() + GATHER if len(data) < SMALL else 0.0
        if self._read_from is not self._sock:
            # What a former connection left unfinished is no beginning of this one's packets.
            self._read_from, self._rest = self._sock, b""
        code = self._take(self._rest + data if self._rest else data)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        return MQTTErrorCode.MQTT_ERR_CONN_LOST if lost and code == MQTTErrorCode.MQTT_ERR_SUCCESS else code

    def _receive(self) -> tuple[bytes, bool]:
        """What has arrived, and whether the connection ended after it."""
        if not (self._ssl or self._transport == "websockets"):
            data = self._sock_recv(READ)
            return data, not data
        # One call returns one TLS record or WebSocket frame: there may be many more.
        parts = [data := self._sock_recv(RECORD)]
        size = len(data)
        if not data:
            return data, True
        try:
            while size < READ:
                part = self._sock_recv(RECORD)
                if not part:
                    return b"".join(parts), True
                parts.append(part)
                size += len(part)
        except BlockingIOError:
            pass
        except OSError:
            return b"".join(parts), True
        return b"".join(parts), False

    def _take(self, data: bytes) -> MQTTErrorCode:
        """Deliver every message in data, handle every other packet; keep the beginning of one not yet whole."""
        at, end = 0, len(data)
        delivery: Delivery = []
        version_5 = self._protocol == mqtt.MQTTv5
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while end - at >= 2:
            header, length, body = data[at], data[at + 1], at + 2
            if length > 127 and end - at > 2 and data[at + 2] < 128:  # nearly always
                length, body = length & 127 | data[at + 2] << 7, at + 3
            elif length > 127:
                found = _long_length(data, at)
                if found is None:
                    break
                length, body = found
                if length < 0:
                    code = MQTTErrorCode.MQTT_ERR_PROTOCOL
                    break
            after = body + length
            if after > end:
                break
            if header & 0xF4 == 0x30:  # a PUBLISH of QoS 0 or 1
                if length < 2:
                    code = MQTTErrorCode.MQTT_ERR_PROTOCOL
                    break
                topic = body + 2
                body = topic + (data[body] << 8 | data[body + 1])
                if body + (header & 2) + version_5 > after:
                    code = MQTTErrorCode.MQTT_ERR_PROTOCOL
                    break
                name, packet_id = data[topic:body], 0
                if header & 2:
                    packet_id = data[body] << 8 | data[body + 1]
                    body += 2
                if version_5:
                    body = _after_properties(data, body, after) if data[body] else body + 1
                if body > after:
                    code = MQTTErrorCode.MQTT_ERR_PROTOCOL
                    break
                delivery.append((name, data[body:after], packet_id))
            else:
                if delivery:
                    self._deliver(delivery)
                    delivery = []
                code = self._handle(header, data[body:after])
                if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    at = after
                    break
            at = after
        self._rest = data[at:]
        if delivery:
            self._deliver(delivery)
        return code

    def _deliver(self, delivery: Delivery) -> None:
        with self._in_callback_mutex:
            self.on_messages(delivery)

    def _handle(self, header: int, body: bytes) -> MQTTErrorCode:
        """Any packet but a PUBLISH, as paho handles it."""
        blank: Any = {**self._in_packet, "command": 0, "remaining_length": 0, "packet": bytearray(), "pos": 0}
        packet: Any = {**blank, "command": header, "remaining_length": len(body), "packet": bytearray(body)}
        self._in_packet = packet
        code = MQTTErrorCode(self._packet_handle())
        self._in_packet = blank
        return code


def best_client_class() -> type[StockClient]:
    """FastClient, if it works with the paho that is installed."""
    try:
        _try_out()
    except Exception as error:  # whatever paho changed: the stock client needs none of it
        log.warning("reading messages one by one, for the fast client does not fit this paho-mqtt: %r", error)
        return StockClient
    return FastClient


def _try_out() -> None:
    """Two messages in a socket, one of them in two pieces: they must come out, and their PUBACKs go back."""
    ours, theirs = socket.socketpair()
    client = FastClient("self-test", mqtt.MQTTv311, "tcp")
    with contextlib.ExitStack() as stack:
        stack.callback(ours.close)
        stack.callback(theirs.close)
        stack.callback(client._reset_sockets)
        ours.setblocking(False)
        client._sock = ours
        taken: Delivery = []
        client.on_messages = taken.extend
        message = b"\x32\x08\x00\x01t\x00\x07one"
        theirs.sendall(message + b"\xd0\x00" + message[:4])
        first = client.loop_read()
        theirs.sendall(message[4:])
        second = client.loop_read()
        if (first, second, taken, client._ping_t) != (0, 0, [(b"t", b"one", 7)] * 2, 0):
            raise RuntimeError(f"read {taken} with {first!r}, {second!r}")
        client.ack_many([7, 8])
        client.loop_write()
        theirs.settimeout(1)
        if (sent := theirs.recv(64)) != b"\x40\x02\x00\x07\x40\x02\x00\x08":
            raise RuntimeError(f"acknowledged with {sent.hex()}")


def _long_length(data: bytes, at: int) -> tuple[int, int] | None:
    """(remaining length, start of the body) of a packet that begins at `at`; None: not all of it is here; -1: wrong."""
    length = shift = 0
    for position in range(at + 1, at + 5):
        if position >= len(data):
            return None
        byte = data[position]
        length |= (byte & 127) << shift
        if byte < 128:
            return length, position + 1
        shift += 7
    return -1, 0


def _after_properties(data: bytes, body: int, after: int) -> int:
    """Where the payload begins; past the end if the properties are none."""
    if data[body] < 128:
        return body + 1 + data[body]
    try:
        _, size = Properties(PacketTypes.PUBLISH).unpack(data[body:after])
    except Exception:  # paho raises whatever its parsing runs into
        return after + 1
    return body + int(size)


def _publish(topic: bytes, payload: bytes, retain: bool, properties: bytes) -> bytes:
    size = 2 + len(topic) + len(properties) + len(payload)
    length = bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    header = b"\x31" if retain else b"\x30"
    return b"".join((header, length, len(topic).to_bytes(2), topic, properties, payload))


def _leave_it_to_the_loop(_client: mqtt.Client, _userdata: Any, _socket: Any) -> None:
    pass


def _ignore(_delivery: Delivery) -> None:
    pass


def _always() -> bool:
    return True


def _nothing() -> None:
    pass
