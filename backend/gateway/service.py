"""The gateway as one process: its doors, its outbox, its connection to the broker. The only place that joins them."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from ..errors import PortBusy, SettingsError
from ..settings import Settings, variable
from . import frames, poll, tcp
from .health import Health
from .http import HttpDoor
from .intake import Intake
from .limits import READ, Doors, Limits
from .metrics import Metrics, Sample, resident
from .outbox import Outbox
from .publisher import Publisher
from .sending import Sending

log = logging.getLogger(__name__)

ASKERS = 16
BACKLOG = 1024
REPORT = 60.0


def run(settings: Settings, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Until stop is set. ready() is called when the doors are open.

    Raises SettingsError, PortBusy, ServiceFailed when the outbox cannot be opened, BrokerUnavailable when the MQTT
    client died.
    """
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run(settings, stop, ready))


async def _run(settings: Settings, stop: threading.Event, ready: Callable[[], None]) -> None:
    limits = Limits.of(settings)
    pattern = frames.compile_pattern(settings.gateway_pattern)
    polled = poll.read(settings.gateway_polls)
    metrics, doors = Metrics(), Doors(limits)
    folder = settings.state_dir / "gateway"
    outbox = Outbox(folder / "outbox.db", settings.gateway_outbox, settings.gateway_sensors)
    loop = asyncio.get_running_loop()
    writer = ThreadPoolExecutor(1, "outbox")
    askers = ThreadPoolExecutor(ASKERS, "poll")
    sending: Sending

    def on_ack(device: str, payload: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: the ack comes again at the next start
            loop.call_soon_threadsafe(sending.acked, device, payload)

    publisher = Publisher(settings, f"thermograph-gateway-{settings.gateway_name}", on_ack)
    sending = Sending(outbox, writer, publisher, metrics)
    intake = Intake(settings.gateway_name, outbox, writer, metrics)
    health = Health(outbox, publisher, intake.heard, settings.gateway_silence)

    def page() -> str:
        metrics.connections = doors.connections
        return metrics.text([*health.samples(), Sample("memory_limit_bytes", "gauge", ABOUT_MEMORY, limits.memory)])

    web = HttpDoor(intake, doors, limits, metrics, pattern, page)
    try:
        async with _doors(settings, tcp.factory(intake, doors, limits, metrics, pattern), web):
            log.info("clients can make it hold %.0f MB at most, beside its own", limits.memory / 1e6)
            publisher.start()
            ready()
            works = [intake.run(), sending.run(), health.run(), _report(doors, outbox)]
            await _until(stop, works + [poll.keep_asking(one, intake, metrics, askers) for one in polled])
    finally:
        publisher.stop()
        # What was being written is finished and answered by nobody: its senders send again.
        writer.shutdown(wait=True)
        askers.shutdown(wait=False, cancel_futures=True)
        outbox.close()


ABOUT_MEMORY = "bytes that its clients can make it hold at most, beside what it needs itself"


async def _until(stop: threading.Event, works: list[Any]) -> None:
    """Do the works until stop is set, or until one of them fails: then that is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        while not stop.is_set():
            done, _ = await asyncio.wait(tasks, timeout=0.25, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _doors(
    settings: Settings, connection: Callable[[], asyncio.BaseProtocol], web: HttpDoor
) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for name, given in (("gateway_tcp", settings.gateway_tcp), ("gateway_http", settings.gateway_http)):
            if not given:
                continue
            host, port = address(name, given)
            try:
                if name == "gateway_tcp":
                    server = await loop.create_server(connection, host, port, backlog=BACKLOG)
                else:
                    server = await asyncio.start_server(web.serve, host, port, backlog=BACKLOG, limit=READ)
            except (OSError, OverflowError) as error:
                raise PortBusy(
                    f"The gateway can't listen on {given}: {error}.",
                    f"Free it, or set {variable(name)} to another one.",
                ) from error
            servers.append(server)
            log.info("%s: %s", variable(name), " ".join("{}:{}".format(*one.getsockname()) for one in server.sockets))
        yield
    finally:
        for server in servers:
            server.close()


def address(name: str, given: str) -> tuple[str, int]:
    """HOST:PORT of a setting. Raises SettingsError."""
    try:
        parts = urlsplit(f"//{given}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None:
        raise SettingsError(f"{variable(name)} is {given!r}.", "It takes HOST:PORT; empty: this door stays closed.")
    return host, port


async def _report(doors: Doors, outbox: Outbox) -> None:
    while True:
        await asyncio.sleep(REPORT)
        log.info(
            "%d connections, %d sensors, %d readings wait, %.0f MB of memory",
            doors.connections, len(outbox.sensors), outbox.waiting, resident() / 1e6,
        )  # fmt: skip
