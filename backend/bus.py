"""The MQTT broker, seen from the backend.

What comes is acknowledged (PUBACK) by Bus.ack(), and only then may the broker forget it. Messages carry the number of
the connection that brought them: paho would send an old packet id to a new connection, where it names another one.

No more is held in memory than MAX_WAITING bytes, or three batches of messages: then nothing more is read, and the
broker waits.
"""

import logging
import queue
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .errors import BrokerUnavailable, SettingsError
from .fast_client import Delivery, StockClient, best_client_class
from .settings import Settings

log = logging.getLogger(__name__)

# A payload over this is cut before it is queued: one 10 MB message must not become a hundred of them in memory.
KEPT_PAYLOAD = 256 * 1024
MAX_WAITING = 64 * 1024 * 1024
MOST_IN_FLIGHT = 65_535
# A group of few messages is ended by a pause of so many seconds.
FEW, PAUSE = 200, 0.01
# Longer than a connection attempt and the longest pause between two.
WEDGED = 60.0


class Message(msgspec.Struct, gc=False):
    """received: Unix ms. packet_id, connection: what acknowledges it. cut_from: size as sent, if it was too long."""

    topic: bytes
    payload: bytes
    received: int
    packet_id: int = 0
    connection: int = 0
    cut_from: int = 0

    @property
    def size(self) -> int:
        """Bytes of the payload as sent."""
        return self.cut_from or len(self.payload)


class Bus:
    def __init__(
        self,
        settings: Settings,
        topics: list[str],
        client: type[StockClient] | None = None,
        on_subscribed: Callable[[], None] | None = None,
    ) -> None:
        """A client with a persistent session, subscribed to topics at QoS 1. start() connects it.

        client: the class to use; None: the best that works. on_subscribed is called once, in the client's thread;
        nobody may wait for that before taking: a broker may send all that waited first, more than there is room for.
        Raises SettingsError when the broker's CA file cannot be read.
        """
        self.address = settings.broker_address
        self._topics = topics
        self._batch = settings.ingest_batch
        self._messages: queue.SimpleQueue[tuple[list[Message], int] | None] = queue.SimpleQueue()
        self._left: list[Message] = []
        self._waiting = Waiting(3 * self._batch, MAX_WAITING)
        self._connection = 0
        self._subscribed = threading.Event()
        self._on_subscribed = on_subscribed
        self._failure: BaseException | None = None
        self._pulse = Pulse(WEDGED)
        self._client = (client or best_client_class())(settings.ingest_id, _protocol(settings), _transport(settings))
        self._options = _connect_options(settings)
        secure(self._client, settings)
        if settings.broker_user:
            self._client.username_pw_set(settings.broker_user, str(settings.broker_password))
        self._client.reconnect_delay_set(1, 10)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_messages = self._on_messages
        self._client.has_room = self._waiting.has_room
        self._client.turned = self._pulse.beat
        self._client.on_pre_connect = lambda *_: self._pulse.beat()
        self._client.on_connect_fail = self._on_connect_fail
        self._thread = threading.Thread(target=self._loop, name="bus", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_subscribed(self, seconds: float) -> bool:
        return self._subscribed.wait(seconds)

    def take(self, most: int, linger: float, patience: float) -> list[Message]:
        """Up to `most` messages: waits `patience` seconds for the first, `linger` for more to come with it.

        A pause ends a small group sooner: a broker that has sent its window of unacknowledged messages sends no more.
        Raises BrokerUnavailable when the client's thread has ended or hangs: nothing would ever come again.
        """
        group, self._left = self._left, []
        deadline = time.monotonic() + (linger if group else patience)
        while len(group) < most:
            wait = deadline - time.monotonic()
            try:
                arrived = self._messages.get(timeout=max(0.0, min(wait, PAUSE) if 0 < len(group) < FEW else wait))
            except queue.Empty:
                break
            if arrived is None:
                raise BrokerUnavailable(f"The MQTT client ended: {self._failure!r}.", "Start ingest again.")
            if not group:
                deadline = time.monotonic() + linger
            messages, size = arrived
            self._waiting.remove(len(messages), size)
            group += messages
        if len(group) > most:
            group, self._left = group[:most], group[most:]
        if not group and self._pulse.stopped():
            raise BrokerUnavailable(
                f"The MQTT client has not moved for {WEDGED:.0f} s; it hangs.", "Start ingest again."
            )
        return group

    def ack(self, messages: Iterable[Message]) -> None:
        """PUBACK them, in this order; those of a former connection come again by themselves."""
        current = self._connection
        self._client.ack_many(
            [message.packet_id for message in messages if message.packet_id and message.connection == current]
        )

    def publish(self, messages: Iterable[tuple[str, bytes]], retain: bool = False) -> None:
        """(topic, payload), at most once (QoS 0): what is lost here, the device asks for again by sending again."""
        self._client.publish_many((topic, payload, retain) for topic, payload in messages)

    def stop(self) -> None:
        self._client.disconnect()
        self._thread.join(5)

    def _loop(self) -> None:
        try:
            self._client.connect_async(*self.address, keepalive=30, **self._options)
            self._client.run()
        except BaseException as error:  # whatever ends this thread must end the process, not go unseen
            self._failure = error
            log.exception("the MQTT client failed")
        self._messages.put(None)

    def _on_connect(self, client: mqtt.Client, _userdata: Any, flags: Any, reason_code: Any, _properties: Any) -> None:
        self._connection += 1
        if reason_code.is_failure:
            log.error("the broker at %s:%s refused ingest: %s", *self.address, reason_code)
            return
        log.info("connected to %s:%s, session %s", *self.address, "kept" if flags.session_present else "new")
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: Any) -> None:
        self._pulse.beat()
        # paho calls this while it handles the error, and does not tell which one.
        log.warning("cannot connect to %s:%s: %s", *self.address, str(sys.exc_info()[1]))

    def _on_subscribe(self, _client: Any, _userdata: Any, _mid: int, reason_codes: Any, _properties: Any) -> None:
        if any(code.is_failure for code in reason_codes):
            log.error("the broker refused the subscription to %s", ", ".join(self._topics))
        elif not self._subscribed.is_set():
            self._subscribed.set()
            if self._on_subscribed:
                self._on_subscribed()

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason_code: Any, _properties: Any) -> None:
        self._connection += 1
        log.warning("disconnected from %s:%s: %s", *self.address, reason_code)

    def _on_messages(self, delivery: Delivery) -> None:
        received, connection = time.time_ns() // 1_000_000, self._connection
        messages = [
            Message(topic, payload, received, packet_id, connection)
            if len(payload) <= KEPT_PAYLOAD
            else Message(topic, payload[:KEPT_PAYLOAD], received, packet_id, connection, len(payload))
            for topic, payload, packet_id in delivery
        ]
        size = sum([len(message.payload) for message in messages])
        self._waiting.add(len(messages), size)
        self._messages.put((messages, size))


class Waiting:
    """How much lies between the client's thread and the writer's. Each of them changes one of the two sums only."""

    def __init__(self, messages: int, size: int) -> None:
        self._most, self._largest = messages, size
        self._in, self._in_bytes = 0, 0
        self._out, self._out_bytes = 0, 0

    def add(self, messages: int, size: int) -> None:
        self._in += messages
        self._in_bytes += size

    def remove(self, messages: int, size: int) -> None:
        self._out += messages
        self._out_bytes += size

    def has_room(self) -> bool:
        return self._in - self._out < self._most and self._in_bytes - self._out_bytes < self._largest


class Pulse:
    """Whether a thread still moves. Only time that we saw pass counts: a process that was stopped is not wedged."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._beats = self._seen = 0
        self._silent = 0.0
        self._looked = time.monotonic()

    def beat(self) -> None:
        self._beats += 1

    def stopped(self) -> bool:
        """True when no beat came for `limit` seconds of looking."""
        now = time.monotonic()
        self._silent = self._silent + min(now - self._looked, 1.0) if self._beats == self._seen else 0.0
        self._seen, self._looked = self._beats, now
        return self._silent >= self._limit


def _protocol(settings: Settings) -> int:
    return int(mqtt.MQTTv5 if settings.broker_version == "5" else mqtt.MQTTv311)


def _transport(settings: Settings) -> str:
    return "websockets" if settings.broker_scheme in ("ws", "wss") else "tcp"


def _connect_options(settings: Settings) -> dict[str, Any]:
    """What MQTT 5 says at the connection: the session is kept for ever, and how much may be on its way to us."""
    if settings.broker_version != "5":
        return {}
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0xFFFF_FFFF
    # Two batches: the broker sends the next one while this one is committed.
    properties.ReceiveMaximum = min(2 * settings.ingest_batch, MOST_IN_FLIGHT)
    return {"clean_start": False, "properties": properties}


def outgoing_client(settings: Settings, client_id: str) -> mqtt.Client:
    """A client for what is only sent, or for small answers: stock paho, with the same broker, TLS and user."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, transport=_transport(settings))  # type: ignore[arg-type]
    secure(client, settings)
    if settings.broker_user:
        client.username_pw_set(settings.broker_user, str(settings.broker_password))
    client.reconnect_delay_set(1, 10)
    # Without it paho would write to the socket in the thread that publishes, and in its own at the same time: of two
    # messages that the socket takes in pieces, the pieces would be mixed.
    client.on_socket_register_write = lambda *_: None
    return client


def secure(client: mqtt.Client, settings: Settings) -> None:
    if settings.broker_scheme in ("ws", "wss"):
        client.ws_set_options(path=settings.broker_path)
    if settings.broker_scheme in ("mqtts", "wss"):
        try:
            context = ssl.create_default_context(cafile=settings.broker_ca or None)
        except OSError as error:
            raise SettingsError(
                f"THERMOGRAPH_BROKER_CA is {settings.broker_ca!r}: {error}.",
                "It takes a PEM file with the certificate that signed the broker's; empty: those the system trusts.",
            ) from None
        client.tls_set_context(context)
