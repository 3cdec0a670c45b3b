"""The gateway's connection to the broker: many devices' telemetry over one MQTT client, and their acks back.

It hears the acks of its own sensors only, topic by topic: so it needs no right to hear others'. What the broker does
with a message is not trusted here, as nowhere: only the application ack frees a reading.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt

from ..bus import outgoing_client
from ..settings import Settings

log = logging.getLogger(__name__)

IN_FLIGHT = 500  # messages without a PUBACK
QUEUED = 2_000
TOPICS = 100  # in one SUBSCRIBE
MAX_TOLD = 4 * 1024


class Publisher:
    def __init__(self, settings: Settings, client_id: str, on_ack: Callable[[str, bytes], None]) -> None:
        """on_ack(device, payload) is called in a thread of the client's own. start() connects."""
        self.connected = False
        self.connection = 0  # number of the connection; another one: what was sent may be lost
        self._address = settings.broker_address
        self._on_ack = on_ack
        self._client = outgoing_client(settings, client_id)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.max_queued_messages_set(QUEUED)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._thread = threading.Thread(target=self._loop, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.ident:
            self._client.disconnect()
            self._thread.join(5)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def send(self, device: str, leaf: str, payload: bytes, retain: bool = False) -> bool:
        """False: not now. True says only that it is on its way."""
        told = self._client.publish(f"thermograph/v1/{device}/{leaf}", payload, qos=1, retain=retain)
        return told.rc == mqtt.MQTT_ERR_SUCCESS

    def hear(self, devices: list[str]) -> bool:
        """Subscribe to the acks of these; the broker sends the newest ones at once. False: not now."""
        for start in range(0, len(devices), TOPICS):
            topics = [(f"thermograph/v1/{device}/ack", 0) for device in devices[start : start + TOPICS]]
            if self._client.subscribe(topics)[0] != mqtt.MQTT_ERR_SUCCESS:
                return False
        return True

    def _loop(self) -> None:
        try:
            self._client.connect_async(*self._address, keepalive=30)
            self._client.loop_forever(retry_first_connection=True)
        except Exception:  # `alive` is what tells the others
            log.exception("the MQTT client failed")
        self.connected = False

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connection += 1
        self.connected = not reason.is_failure
        if reason.is_failure:
            log.error("the broker at %s:%s refused the gateway: %s", *self._address, reason)
        else:
            log.info("connected to %s:%s", *self._address)

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connected = False
        log.warning("disconnected from %s:%s: %s", *self._address, reason)

    def _on_message(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        if len(message.payload) <= MAX_TOLD:
            self._on_ack(message.topic.split("/")[2], bytes(message.payload))
