"""The MQTT broker, seen from the backend. The only importer of paho.

A Message is acknowledged (PUBACK) by its ack(), and only then may the broker forget it. Acks carry the number of the
connection that brought the message: paho would send an old packet id to a new connection, where it names another one.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from .errors import BrokerUnavailable
from .settings import Settings

log = logging.getLogger(__name__)

# A payload over this is cut before it is queued: one 10 MB message must not become a hundred of them in memory.
KEPT_PAYLOAD = 256 * 1024


@dataclass(frozen=True)
class Message:
    """topic; payload; received: Unix ms; size: of the payload as sent."""

    topic: str
    payload: bytes
    received: int
    size: int
    ack: Callable[[], None] = field(repr=False, compare=False)


class Bus:
    def __init__(self, settings: Settings, topics: list[str]) -> None:
        """A client with a persistent session, subscribed to topics at QoS 1. start() connects it."""
        self.address = settings.broker_address
        self._topics = topics
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._connection = 0
        self._subscribed = threading.Event()
        self._failure: BaseException | None = None
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, settings.ingest_id, clean_session=False, manual_ack=True
        )
        if settings.broker_user:
            self._client.username_pw_set(settings.broker_user, str(settings.broker_password))
        self._client.reconnect_delay_set(1, 10)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._thread = threading.Thread(target=self._loop, name="bus", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_subscribed(self, seconds: float) -> bool:
        return self._subscribed.wait(seconds)

    def take(self, most: int, linger: float, patience: float) -> list[Message]:
        """Up to `most` messages: waits `patience` seconds for the first, `linger` for more to come with it.

        Raises BrokerUnavailable when the client's thread has ended: nothing would ever come again.
        """
        group: list[Message] = []
        deadline = time.monotonic() + patience
        while len(group) < most:
            try:
                message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if message is None:
                raise BrokerUnavailable(f"The MQTT client ended: {self._failure!r}.", "Start ingest again.")
            if not group:
                deadline = time.monotonic() + linger
            group.append(message)
        return group

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """At most once (QoS 0): what is lost here, the device asks for again by sending again."""
        self._client.publish(topic, payload, qos=0, retain=retain)

    def stop(self) -> None:
        self._client.disconnect()
        self._thread.join(5)

    def _loop(self) -> None:
        try:
            self._client.connect_async(*self.address, keepalive=30)
            self._client.loop_forever(retry_first_connection=True)
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

    def _on_subscribe(self, _client: Any, _userdata: Any, _mid: int, reason_codes: Any, _properties: Any) -> None:
        if any(code.is_failure for code in reason_codes):
            log.error("the broker refused the subscription to %s", ", ".join(self._topics))
        else:
            self._subscribed.set()

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason_code: Any, _properties: Any) -> None:
        self._connection += 1
        log.warning("disconnected from %s:%s: %s", *self.address, reason_code)

    def _on_message(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        connection, mid, qos = self._connection, message.mid, message.qos

        def ack() -> None:
            if connection == self._connection:
                client.ack(mid, qos)

        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        received = time.time_ns() // 1_000_000
        self._messages.put(Message(topic, bytes(message.payload[:KEPT_PAYLOAD]), received, len(message.payload), ack))
