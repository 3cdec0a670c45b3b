"""From the outbox to the broker, and the acks back. The firmware's Node does the same for one stream; here are many.

A window of readings goes out; the ack moves it. No progress for a while: it goes back to what was acknowledged last.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Executor

from ..errors import BrokerUnavailable
from . import wire
from .metrics import Metrics
from .outbox import Outbox, Sensor
from .publisher import Publisher

log = logging.getLogger(__name__)

TICK = 0.2
WINDOW = 256  # readings of a sensor that are on their way
AT_ONCE = 250  # sensors in one reading of the outbox
PATIENCE, LONGEST = 10.0, 300.0


class Window:
    """What is on its way of one sensor. sent: the last seq; lost: up to where the backend has lost what it once had."""

    __slots__ = ("lost", "moved", "patience", "sent", "stream", "told")

    def __init__(self, sensor: Sensor, now: float) -> None:
        self.stream = sensor.stream
        self.sent = sensor.freed
        self.lost = (0, 0)
        self.moved, self.patience = now, PATIENCE
        self.told = False  # whether the gap before what waits is on its way


class Sending:
    def __init__(self, outbox: Outbox, writer: Executor, publisher: Publisher, metrics: Metrics) -> None:
        self._outbox = outbox
        self._writer = writer
        self._publisher = publisher
        self._metrics = metrics
        self._windows: dict[str, Window] = {}
        self._acks: dict[str, tuple[str, int]] = {}
        self._heard: set[str] = set()
        self._connection = 0

    def acked(self, device: str, payload: bytes) -> None:
        """An ack came. To be called in the loop's thread."""
        told = wire.ack(payload)
        if told:
            self._acks[device] = told

    async def run(self) -> None:
        """For ever. Raises BrokerUnavailable when the MQTT client has died."""
        while True:
            if not self._publisher.alive:
                raise BrokerUnavailable("The gateway's MQTT client ended.", "Start the gateway again.")
            await self._step()
            await asyncio.sleep(TICK)

    async def _step(self) -> None:
        await self._take_acks()
        if not self._publisher.connected:
            return
        if self._publisher.connection != self._connection:
            self._connection = self._publisher.connection
            self._windows.clear()
            self._heard.clear()
        new = [device for device in self._outbox.sensors if device not in self._heard]
        if new:
            if not self._publisher.hear(new):
                return
            self._heard.update(new)
            return  # their retained acks come first: what the backend has need not be sent
        await self._send(time.monotonic())

    async def _send(self, now: float) -> None:
        loop = asyncio.get_running_loop()
        ready = [sensor for sensor in self._outbox.sensors.values() if self._wants(sensor, now)]
        for start in range(0, len(ready), AT_ONCE):
            group = [(sensor, self._windows[sensor.device]) for sensor in ready[start : start + AT_ONCE]]
            wanted = [(sensor, window.sent) for sensor, window in group]
            found = await loop.run_in_executor(self._writer, _read, self._outbox, wanted)
            for (sensor, window), kept in zip(group, found, strict=True):
                if not self._publish(sensor, window, kept):
                    return

    def _wants(self, sensor: Sensor, now: float) -> bool:
        window = self._windows.get(sensor.device)
        if window is None or window.stream != sensor.stream:
            if sensor.last == sensor.freed:
                return False
            window = self._windows[sensor.device] = Window(sensor, now)
        if window.sent > sensor.freed and now - window.moved >= window.patience:
            window.sent, window.told, window.moved = sensor.freed, False, now
            window.patience = min(2 * window.patience, LONGEST)
            self._metrics.resent += 1
        if window.sent == sensor.freed:
            window.moved = now
        if sensor.dropped > window.sent:
            window.told = False
        return window.sent < sensor.last and window.sent - sensor.oldest < WINDOW

    def _publish(self, sensor: Sensor, window: Window, kept: list[wire.Kept]) -> bool:
        """False: the client takes no more now."""
        device, stream = sensor.device, window.stream
        if not window.told:
            for first, last, cause in (
                (*window.lost, "backend-lost"),
                (sensor.freed + 1, sensor.dropped, "gateway-full"),
            ):
                if first and first <= last:
                    if not self._publisher.send(device, "telemetry", wire.gap(stream, first, last, cause)):
                        return False
                    window.sent = max(window.sent, last)
            window.told = True
        for payload, last in wire.messages(stream, kept):
            if not self._publisher.send(device, "telemetry", payload):
                return False
            window.sent = last
            self._metrics.messages += 1
        return True

    async def _take_acks(self) -> None:
        acks, self._acks = self._acks, {}
        forward: dict[str, int] = {}
        now = time.monotonic()
        loop = asyncio.get_running_loop()
        for device, (stream, seq) in acks.items():
            sensor = self._outbox.sensors.get(device)
            if sensor is None or sensor.stream != stream:
                continue
            if seq > sensor.last:
                log.error(
                    "%s: seq %d is acknowledged, but %d our newest: an old copy? New stream.",
                    device,
                    seq,
                    sensor.last,
                )
                await loop.run_in_executor(self._writer, self._outbox.renew, sensor)
            elif seq > sensor.freed:
                forward[device] = seq
                self._metrics.freed += seq - sensor.freed
                window = self._windows.get(device)
                if window:
                    window.moved, window.patience = now, PATIENCE
                    window.sent = max(window.sent, seq)
            elif seq < sensor.freed and sensor.last > sensor.freed:
                window = self._windows.setdefault(device, Window(sensor, now))
                window.lost, window.told = (seq + 1, sensor.freed), False
                window.sent = sensor.freed
        if forward:
            await loop.run_in_executor(self._writer, self._outbox.free, forward)


def _read(outbox: Outbox, wanted: Iterable[tuple[Sensor, int]]) -> list[list[wire.Kept]]:
    return [outbox.read(sensor, after, WINDOW) for sensor, after in wanted]
