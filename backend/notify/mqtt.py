"""MQTT: a notice as JSON to a topic of our own broker, and as the binary sensor of an alert in Home Assistant.

A connection a notice: they are few, and one that was acknowledged (QoS 1) has arrived. Repeats carry the same id.
"""

import json
import re
import secrets
import time
from typing import Any

import paho.mqtt.client as mqtt

from ..bus import outgoing_client
from ..errors import DeliveryFailed, SettingsError
from ..settings import Settings
from .notice import Notice

TIMEOUT = 10.0
LONGEST_TOPIC = 200
OF_DEVICES = "thermograph/v1/"
STATES = "thermograph/alerts/"
# What Home Assistant takes as a part of a topic of discovery.
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")

Message = tuple[str, bytes, bool]


def check_topic(topic: str) -> str:
    """The topic, if notices may be published to it. Raises SettingsError."""
    if not topic or len(topic) > LONGEST_TOPIC or not topic.isprintable() or set("+#") & set(topic):
        raise SettingsError("That is no topic to publish to.", "Write it as home/alerts, without + and #.")
    if topic.startswith(("$", OF_DEVICES, STATES)):
        raise SettingsError("That topic is the devices' or the broker's own.", "Choose another, as home/alerts.")
    return topic


def check_prefix(prefix: str) -> str:
    """Home Assistant's prefix of discovery. Raises SettingsError."""
    if not PREFIX.fullmatch(prefix):
        raise SettingsError("That is no prefix of Home Assistant's discovery.", "It is `homeassistant` by default.")
    return prefix


def plain(topic: str, notice: Notice) -> list[Message]:
    """(topic, payload, retained)"""
    return [(topic, notice.json(), False)]


def home_assistant(prefix: str, notice: Notice) -> list[Message]:
    """The alert's binary sensor, its attributes and its state, all retained: Home Assistant may start later."""
    ident = f"thermograph_rule_{notice.rule}"
    base = f"{STATES}rule-{notice.rule}"
    config = {
        "name": one_line(notice.name),
        "unique_id": ident,
        "object_id": ident,
        "device_class": "problem",
        "state_topic": f"{base}/state",
        "json_attributes_topic": f"{base}/attributes",
        "device": {"identifiers": ["thermograph_alerts"], "name": "Thermograph alerts"},
        "origin": {"name": "Thermograph"},
    }
    attributes = {"device": notice.device, "sensor": notice.sensor, "severity": notice.severity, "since": notice.start}
    attributes |= {"title": one_line(notice.title), "id": notice.id}
    return [
        (f"{prefix}/binary_sensor/{ident}/config", _json(config), True),
        (f"{base}/attributes", _json(attributes), True),
        (f"{base}/state", b"OFF" if notice.phase in ("ended", "test") else b"ON", True),
    ]


def send(settings: Settings, messages: list[Message]) -> None:
    """Publish them in this order, each acknowledged by the broker. Raises DeliveryFailed."""
    client = outgoing_client(settings, f"thermograph-notice-{secrets.token_hex(6)}")
    refused: list[Any] = []

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            refused.append(reason)

    client.on_connect = on_connect
    host, port = settings.broker_address
    deadline = time.monotonic() + TIMEOUT
    try:
        client.connect(host, port, keepalive=30)
        told: list[mqtt.MQTTMessageInfo] = []
        while not (told and all(each.is_published() for each in told)):
            if refused:
                raise DeliveryFailed(f"the broker refused us: {refused[0]}")
            if time.monotonic() > deadline or client.loop(timeout=0.1) != mqtt.MQTT_ERR_SUCCESS:
                raise DeliveryFailed(f"the broker at {host}:{port} did not take it")
            if client.is_connected() and not told:
                told = [client.publish(topic, payload, qos=1, retain=retain) for topic, payload, retain in messages]
    except (OSError, ValueError, RuntimeError) as error:
        raise DeliveryFailed(f"the broker at {host}:{port} did not take it: {error}") from None
    finally:
        client.disconnect()
        client.loop(timeout=0.1)


def one_line(text: str) -> str:
    """As Home Assistant shows it: one line; it renders no template in what comes as data."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=True, sort_keys=True).encode()
