"""From the doors (tcp, http, poll) into the outbox: what comes together is one transaction; then all are answered."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Executor

from ..errors import MessageRejected, Unavailable
from ..reading import EARLIEST
from .frames import Frame
from .identity import device_name
from .metrics import Metrics
from .outbox import Entry, Outbox

log = logging.getLogger(__name__)

GROUP = 5_000
Answer = int | MessageRejected | Unavailable
Answered = Callable[[Answer], None]


class Intake:
    def __init__(self, gateway: str, outbox: Outbox, writer: Executor, metrics: Metrics) -> None:
        """gateway: beginning of its sensors' device names. writer: one thread, the only one that uses the outbox."""
        self._gateway = gateway
        self._outbox = outbox
        self._writer = writer
        self._metrics = metrics
        self._pending: list[tuple[Entry, Answered]] = []
        self._news = asyncio.Event()
        self.heard: dict[str, float] = {}  # device → time.monotonic() of its last reading

    def put(self, frame: Frame, address: str, answered: Answered) -> None:
        """Keep a reading; answered(its seq) when it is on disk, answered(why) when it is not kept."""
        now = time.time_ns() // 1_000_000
        t, quality = (now, "ntp") if frame.t is None else (frame.t, "rtc")
        if t < EARLIEST:
            answered(Unavailable("the gateway's clock is not set yet"))
            return
        device = device_name(self._gateway, frame.device, address)
        entry = Entry(device, frame.id, t, quality, frame.name, frame.unit, frame.value, frame.fault)
        self._pending.append((entry, answered))
        self._news.set()

    async def keep(self, frame: Frame, address: str) -> Answer:
        """put(), awaited."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.put(frame, address, lambda answer: None if future.done() else future.set_result(answer))
        return await future

    async def run(self) -> None:
        """Write what comes, for ever. Cancelled, it leaves nothing half answered: the outbox is the truth."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            group, self._pending = self._pending[:GROUP], self._pending[GROUP:]
            if not self._pending:
                self._news.clear()
            answers: list[int | MessageRejected] | list[Unavailable]
            try:
                answers = await loop.run_in_executor(self._writer, self._outbox.append, [entry for entry, _ in group])
            except sqlite3.Error as error:
                log.error("nothing can be kept: %s", error)
                answers = [Unavailable(f"not kept: {error}")] * len(group)
            self._answer(group, answers)

    def _answer(
        self, group: list[tuple[Entry, Answered]], answers: list[int | MessageRejected] | list[Unavailable]
    ) -> None:
        now = time.monotonic()
        for (entry, answered), answer in zip(group, answers, strict=True):
            if isinstance(answer, int):
                self._metrics.kept += 1
                self.heard[entry.device] = now
            answered(answer)
