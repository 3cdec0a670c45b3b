"""What the page shows of a legacy sensor: online while it speaks, offline when silent, how much of it waits."""

import asyncio
import logging
import time

from . import wire
from .metrics import Sample
from .outbox import Outbox, Sensor
from .publisher import Publisher

log = logging.getLogger(__name__)

TICK = 1.0
AT_ONCE = 100  # sensors that are told of in one tick: readings go first
REST = 60.0  # s between two states of one sensor


class Health:
    def __init__(self, outbox: Outbox, publisher: Publisher, heard: dict[str, float], silence: float) -> None:
        """heard: device → time.monotonic() of its last reading. silence: s after which a sensor is offline."""
        self._outbox = outbox
        self._publisher = publisher
        self._heard = heard
        self._silence = silence
        self._started = time.monotonic()
        self._silent: set[str] = set()
        self._status: dict[str, str] = {}
        self._states: dict[str, tuple[int, float]] = {}
        self._connection = 0

    async def run(self) -> None:
        while True:
            self._watch(time.monotonic())
            if self._publisher.connected:
                self._tell(time.monotonic())
            await asyncio.sleep(TICK)

    def samples(self) -> list[Sample]:
        outbox = self._outbox
        return [
            Sample("sensors", "gauge", "sensors that this gateway knows", len(outbox.sensors)),
            Sample("sensors_silent", "gauge", "of these, silent for longer than is usual", len(self._silent)),
            Sample("readings_waiting", "gauge", "readings in the outbox", outbox.waiting),
            Sample("outbox_capacity", "gauge", "readings that the outbox holds at most", outbox.capacity),
            Sample("broker_connected", "gauge", "1 while the broker is connected", self._publisher.connected),
        ]

    def _watch(self, now: float) -> None:
        for device in self._outbox.sensors:
            quiet = now - self._heard.get(device, self._started)
            if quiet <= self._silence:
                self._silent.discard(device)
            elif device not in self._silent:
                self._silent.add(device)
                log.warning("%s has been silent for %.0f s", device, quiet)

    def _tell(self, now: float) -> None:
        if self._publisher.connection != self._connection:
            self._connection = self._publisher.connection
            self._status.clear()
            self._states.clear()
        left = AT_ONCE
        for sensor in self._outbox.sensors.values():
            if left and self._has_news(sensor, now):
                left -= 1
                if not self._publish(sensor, now):
                    return

    def _status_of(self, device: str) -> str:
        return "offline" if device in self._silent else "online"

    def _has_news(self, sensor: Sensor, now: float) -> bool:
        last, at = self._states.get(sensor.device, (-1, -REST))
        return self._status.get(sensor.device) != self._status_of(sensor.device) or (
            sensor.last != last and now - at >= REST
        )

    def _publish(self, sensor: Sensor, now: float) -> bool:
        status = self._status_of(sensor.device)
        state = wire.state(sensor.stream, sensor.last, sensor.waiting, self._outbox.capacity)
        if not (
            self._publisher.send(sensor.device, "state", state, retain=True)
            and self._publisher.send(sensor.device, "status", status.encode(), retain=True)
        ):
            return False
        self._status[sensor.device] = status
        self._states[sensor.device] = sensor.last, now
        return True
