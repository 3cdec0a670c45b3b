"""MQTT traffic in words: what devices say, and what they are told."""

import json
import os
import queue
from typing import Any

from backend.errors import BrokerUnavailable
from backend.settings import Settings

from .mask import Mask
from .mqtt import PATIENCE, client

TOPIC = "thermograph/v1/"
SHOWN = 300
STATE_FIELDS = ("firmware", "reset", "uptime", "rssi")
MEMORY_FIELDS = {"free": "heap-free", "idf": "idf-free", "block": "idf-block"}
TROUBLE_FIELDS = ("link", "crash", "settings_error")


def words(topic: str, payload: bytes, mask: Mask) -> tuple[str, str, str]:
    """(device, leaf, what it says). Anything may come: what is not understood is shown as it is, cut short."""
    device, _, leaf = topic.removeprefix(TOPIC).rpartition("/")
    text = payload.decode("utf-8", "replace")
    try:
        fields = json.loads(text)
        told = _DECODERS[leaf](fields) if leaf in _DECODERS and isinstance(fields, dict) else text
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        told = text
    return device, leaf, printable(mask.text(told))[:SHOWN]


def printable(text: str) -> str:
    """Without what would steer the terminal: a device may send any bytes."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _telemetry(fields: dict[str, Any]) -> str:
    if "gap" in fields:
        first, last = fields["gap"]
        return f"gap {first} to {last}: {fields['cause']}"
    rows, channels = fields["r"], fields["ch"]
    _, channel, value, *fault = rows[-1]
    sensor, unit = channels[channel]
    shown = f"fault {fault[0]}" if value is None and fault else f"{value} {unit}"
    first = fields["seq"]
    return f"{len(rows)} readings, seq {first} to {first + len(rows) - 1}; last: {sensor} {shown} ({fields.get('tq')})"


def _state(fields: dict[str, Any]) -> str:
    told = {name: fields[name] for name in STATE_FIELDS if name in fields}
    told.update({word: fields[name] for name, word in MEMORY_FIELDS.items() if name in fields})
    if "outbox" in fields:
        told["outbox"] = f"{fields['outbox']['depth']} of {fields['outbox']['capacity']}"
    told.update({name: fields[name] for name in TROUBLE_FIELDS if name in fields})
    return " ".join(f"{name}={value}" for name, value in told.items())


def _ack(fields: dict[str, Any]) -> str:
    return f"stored up to seq {fields['seq']} of stream {fields['stream']}"


_DECODERS = {"telemetry": _telemetry, "state": _state, "ack": _ack}


class Listener:
    """Subscribes when entered. `heard` has (topic, payload) of each message, from paho's thread."""

    def __init__(self, settings: Settings, device: str | None) -> None:
        self.heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._refused: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._settings = settings
        self._topic = f"{TOPIC}{device or '+'}/#"
        name = f"thermograph-monitor-{os.getpid()}"
        self._client = client(settings, name, settings.broker_user, str(settings.broker_password))
        self._client.on_connect = self._on_connect
        self._client.on_message = lambda _client, _data, message: self.heard.put((message.topic, message.payload))

    def __enter__(self) -> "Listener":
        """Raises BrokerUnavailable."""
        host, port = self._settings.broker_address
        try:
            self._client.connect(host, port)
            self._client.loop_start()
            refusal = self._refused.get(timeout=PATIENCE)
        except (OSError, queue.Empty) as error:
            refusal = str(error) or "no answer"
        if refusal:
            self.__exit__()
            raise BrokerUnavailable(
                f"The broker at {host}:{port} cannot be listened to: {refusal}.", "Start it: make run."
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe(self._topic, 1)
        self._refused.put(str(reason) if reason.is_failure else "")
