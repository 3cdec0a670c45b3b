"""Devices that are nothing but their Outbox: what they sampled, and what nobody has told them to free yet.

They speak the wire of tests/wire/v1 to a real broker, free by the application ack alone, and send again what is not
freed; out of order and several times, as a device that loses its connection does.
"""

import json
import random
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

SENSORS = ("28ff641e8216c3a1", "28ff9a3b62170441")
PATIENCE = 1.0  # seconds without progress, after which all is sent again
SEAM = 1_763_855_940_000  # a minute before midnight UTC: samples fall into two days, and into two hours
Key = tuple[str, str, int]  # device, stream, seq
Value = tuple[int, float | None, str | None]  # t in ms, value, fault


class Fleet:
    def __init__(self, port: int, seed: int, devices: int = 3) -> None:
        """port: of the broker. Equal seeds sample equal values; when they are sent hangs on when they are freed."""
        self._chance = random.Random(seed)
        self.streams = {f"device-{n}": f"{self._chance.getrandbits(32):08x}" for n in range(devices)}
        self.readings: dict[Key, Value] = {}
        self.gaps: set[Key] = set()
        self._last = dict.fromkeys(self.streams, 0)
        self._freed = dict.fromkeys(self.streams, 0)
        self._waiting: dict[str, dict[int, bytes]] = {device: {} for device in self.streams}  # last seq → message
        self._old: list[tuple[str, bytes]] = []
        self._news = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"fleet-{seed}")
        self._client.max_inflight_messages_set(1000)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("thermograph/v1/+/ack", 1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def waiting(self) -> dict[str, int]:
        """device → how many of its messages are not freed, for those that have any."""
        return {device: len(messages) for device, messages in self._waiting.items() if messages}

    def sample(self) -> None:
        """Each device keeps a message's worth of readings, or now and then names a gap; all of it is sent."""
        for device in self.streams:
            last, message = self._message(device)
            self._last[device] = last
            self._waiting[device][last] = message
        self.send()

    def send(self) -> None:
        """All that is not freed, in any order, some of it twice; and something that was freed long ago."""
        queue = [(device, message) for device, messages in self._waiting.items() for message in list(messages.values())]
        queue += self._chance.sample(queue, len(queue) // 3)
        if self._old:
            queue.append(self._chance.choice(self._old))
        self._chance.shuffle(queue)
        for device, message in queue:
            self._client.publish(f"thermograph/v1/{device}/telemetry", message, qos=1)

    def send_everything(self) -> None:
        """All that was ever sent, freed or not, in any order."""
        queue = [*self._old]
        queue += [
            (device, message) for device, messages in self._waiting.items() for message in list(messages.values())
        ]
        self._chance.shuffle(queue)
        for device, message in queue:
            self._client.publish(f"thermograph/v1/{device}/telemetry", message, qos=1)

    def held(self) -> dict[str, tuple[int, int]]:
        """device → (freed, last): it holds the seq after `freed` up to `last`."""
        # In this order: what is sampled meanwhile is held as well.
        freed = dict(self._freed)
        return {device: (freed[device], last) for device, last in self._last.items()}

    def wait_for_progress(self) -> bool:
        """True as soon as anything was freed; after PATIENCE all is sent again, and it is False."""
        progress = self._news.wait(PATIENCE)
        self._news.clear()
        if not progress:
            self.send()
        return progress

    def _message(self, device: str) -> tuple[int, bytes]:
        """Its last seq, and its payload."""
        chance, stream = self._chance, self.streams[device]
        first = self._last[device] + 1
        last = first + chance.choice((0, 0, 1, 4, 9))
        base = {"v": 1, "stream": stream}
        if chance.random() < 0.05:
            self.gaps.update((device, stream, seq) for seq in range(first, last + 1))
            return last, json.dumps({**base, "gap": [first, last], "cause": "flash-full"}).encode()
        # A clock that is an hour off, now and then: such readings are late, or early.
        start = SEAM + first * 1000 + chance.choice((0, 0, 0, 0, -3_600_000, 3_600_000))
        rows: list[list[object]] = []
        for seq in range(first, last + 1):
            value, fault = (None, "crc") if chance.random() < 0.05 else (chance.randrange(-880, 2000) / 16, None)
            rows.append([(seq - first) * 1000, seq % 2, value, *([fault] if fault else [])])
            self.readings[device, stream, seq] = start + (seq - first) * 1000, value, fault
        ch = [[sensor, "Cel"] for sensor in SENSORS]
        return last, json.dumps({**base, "seq": first, "t": start, "tq": "ntp", "ch": ch, "r": rows}).encode()

    def _on_message(self, _client, _userdata, message) -> None:
        device, told = message.topic.split("/")[2], json.loads(message.payload)
        if told["stream"] != self.streams[device] or told["seq"] <= self._freed[device]:
            return
        self._freed[device] = told["seq"]
        waiting = self._waiting[device]
        for last in [last for last in list(waiting) if last <= told["seq"]]:
            self._old.append((device, waiting.pop(last)))
        self._news.set()


def wait_until_freed(fleet: Fleet, seconds: float) -> bool:
    """Whether the application ack came for all of it within so many seconds."""
    deadline = time.monotonic() + seconds
    while fleet.waiting and time.monotonic() < deadline:
        fleet.wait_for_progress()
    return not fleet.waiting
