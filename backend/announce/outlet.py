"""The announcements' way to the broker: retained messages of QoS 1, and whether it has taken them."""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import paho.mqtt.client as mqtt

from ..bus import outgoing_client
from ..errors import BrokerUnavailable
from ..settings import Settings
from .latest import Told

log = logging.getLogger(__name__)

CLIENT_ID = "thermograph-announce"
TAKEN_WITHIN = 30.0


class Outlet:
    def __init__(self, settings: Settings) -> None:
        """start() connects, and keeps connecting."""
        self.connected = threading.Event()
        self.connection = 0  # number of the connection; another one: the broker may have forgotten what it was told
        self._address = settings.broker_address
        self._client = outgoing_client(settings, CLIENT_ID)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect

    def start(self) -> None:
        self._client.connect_async(*self._address, keepalive=30)
        self._client.loop_start()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def tell(self, messages: Iterable[Told]) -> None:
        """Publish them, retained, and wait until the broker has taken all. Raises BrokerUnavailable."""
        sent = [self._client.publish(topic, payload, qos=1, retain=True) for topic, payload in messages]
        deadline = time.monotonic() + TAKEN_WITHIN
        for each in sent:
            try:
                each.wait_for_publish(max(0.0, deadline - time.monotonic()))
            except (RuntimeError, ValueError) as error:
                raise BrokerUnavailable(f"The broker was not told: {error}.") from None
            if not each.is_published():
                raise BrokerUnavailable(f"The broker at {self._address[0]}:{self._address[1]} does not take messages.")

    def _on_connect(self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("the broker at %s:%s refused the announcements: %s", *self._address, reason)
            return
        log.info("connected to %s:%s", *self._address)
        self.connection += 1
        self.connected.set()

    def _on_disconnect(self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connected.clear()
        log.warning("disconnected from %s:%s: %s", *self._address, reason)
