"""A device that is nothing but its Outbox, in memory: it samples, sends, and frees by the application ack alone.

Thousands live in one asyncio loop. Temperature and wire come from the firmware's own modules.
"""

import asyncio
import collections
import dataclasses
import random
import secrets
import ssl
import time
from typing import Any

from backend.settings import Secret

from . import firmware, mqtt

FAULTS = 0.001
SENSOR = "fridge"
FIRST_REST, LONGEST_REST = 1.0, 60.0


@dataclasses.dataclass(frozen=True)
class Broker:
    """tls: None for a connection in the clear. user: "" for nobody; NAME in it is the device's own name."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    user: str
    password: Secret


@dataclasses.dataclass
class Tally:
    """What all devices together have done. waits: seconds from each sample to its application ack."""

    connected: int = 0
    connects: int = 0
    sampled: int = 0
    sent: int = 0
    acked: int = 0
    refused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    waits: list[float] = dataclasses.field(default_factory=list)

    @property
    def waiting(self) -> int:
        return self.sampled - self.acked


class Clock:
    """What the firmware's fridge asks of a clock."""

    def uptime(self) -> int:
        return time.monotonic_ns() // 1_000_000


class CheapDevice:
    """patience: seconds without an ack before all that waits is sent again, as the firmware does it."""

    def __init__(self, name: str, seed: int, broker: Broker, tally: Tally, patience: float) -> None:
        simulated, self._wire = firmware.module("sensors.simulated"), firmware.module("reading")
        self._topic = f"thermograph/v1/{name}/"
        self._name, self._broker, self._tally, self._patience = name, broker, tally, patience
        self._sensor = simulated.Simulated(simulated.Fridge(Clock(), seed, FAULTS), SENSOR)
        self._stream = secrets.token_hex(4)
        self._outbox: collections.deque[Any] = collections.deque()
        self._seq = self._sent = 0
        self._progress = 0.0
        self._connection: mqtt.Connection | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._open = self._ended = False
        self._rest = FIRST_REST
        self._keepalive = 60

    async def run(self, first: float, interval: float, until: float) -> None:
        """Connect now; sample at `first` (of the loop's clock) and every interval until `until`; stay connected."""
        loop = asyncio.get_running_loop()
        # A device that sends once an interval needs no ping: the broker waits one and a half keepalives.
        self._keepalive = min(65535, int(2 * interval + 60))
        await self._connect()
        while first < until:
            await asyncio.sleep(first - loop.time())
            self._sample()
            first += interval

    def look_after(self) -> None:
        """Send again what nobody has acked. To be called about once a second."""
        if self._open and self._outbox and time.monotonic() - self._progress > self._patience:
            self._sent = self._seq - len(self._outbox)
            self._send()

    def close(self) -> None:
        self._ended = True
        if self._connection is not None:
            self._connection.close()

    async def _connect(self) -> None:
        user = self._broker.user.replace("NAME", self._name)
        will = self._topic + "status", b"offline"
        packet = mqtt.connect_packet(self._name, self._keepalive, will, user, self._broker.password)
        tls = self._broker.tls
        try:
            _, self._connection = await asyncio.get_running_loop().create_connection(
                lambda: mqtt.Connection(packet, self._on_open, self._on_message, self._on_close),
                self._broker.host,
                self._broker.port,
                ssl=tls,
                server_hostname=self._broker.host if tls else None,
            )
        except OSError as error:
            self._on_close(str(error))

    def _on_open(self) -> None:
        self._open, self._rest = True, FIRST_REST
        self._tally.connected += 1
        self._tally.connects += 1
        if self._connection is not None:
            self._connection.subscribe(self._topic + "ack")
            self._connection.publish(self._topic + "status", b"online", retain=True)
        self._sent = self._seq - len(self._outbox)
        self._send()

    def _on_close(self, why: str) -> None:
        if self._open:
            self._tally.connected -= 1
        self._open, self._connection = False, None
        if not self._ended:
            self._tally.refused[why] += 1
            asyncio.get_running_loop().call_later(self._rest * (0.5 + random.random()), self._again)  # noqa: S311
            self._rest = min(self._rest * 2, LONGEST_REST)

    def _again(self) -> None:
        if not self._ended:
            self._connecting = asyncio.ensure_future(self._connect())

    def _sample(self) -> None:
        ((value, fault),) = self._sensor.read()
        self._seq += 1
        now = time.time_ns() // 1_000_000
        self._outbox.append(self._wire.Kept(self._seq, 0, self._wire.Reading(now, "ntp", SENSOR, "Cel", value, fault)))
        self._tally.sampled += 1
        self._send()

    def _send(self) -> None:
        if not self._open or self._connection is None:
            return
        freed = self._seq - len(self._outbox)
        if self._sent <= freed:
            self._progress = time.monotonic()
        while self._sent < self._seq:
            batch = None
            for at in range(self._sent - freed, len(self._outbox)):
                kept = self._outbox[at]
                if batch is None:
                    batch = self._wire.Batch(self._stream, kept)
                elif not batch.add(kept):
                    break
            if batch is None:
                return
            self._connection.publish(self._topic + "telemetry", batch.encode(0), qos=1)
            self._tally.sent += 1
            self._sent = batch.last

    def _on_message(self, topic: bytes, payload: bytes) -> None:
        ack = self._wire.ack(payload)
        if ack is None or ack[0] != self._stream:
            return
        now = time.time_ns() // 1_000_000
        while self._outbox and self._outbox[0].seq <= ack[1]:
            self._tally.waits.append((now - self._outbox.popleft().reading.t) / 1000)
            self._tally.acked += 1
            self._progress = time.monotonic()
