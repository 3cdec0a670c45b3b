"""Sensors that only serve HTTP: the gateway asks them, again and again, and takes their answer's lines as readings.

The file that THERMOGRAPH_GATEWAY_POLLS names is TOML:

    [[sensor]]
    url = "http://10.0.0.7/temperature"
    device = "greenhouse-2"                # the sensor's name; the answer's own words about that are not heard
    every = 60                             # seconds
    name = "temperature"                   # where the answer is a bare number; `unit` may stand beside it
"""

import asyncio
import http.client
import tomllib
from concurrent.futures import Executor
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from ..errors import MessageRejected, SettingsError
from . import frames
from .intake import Intake
from .limits import LINE
from .metrics import Metrics

LARGEST = 16 * 1024
TIMEOUT = 10.0


class Polled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sensor to be asked. name: what a bare number is; None: the answer is lines as the TCP door takes them."""

    url: Annotated[str, Meta(pattern="^http://[^/]+")]
    device: Annotated[str, Meta(pattern="^(?!ip-)[a-z0-9-]{1,32}$")]
    every: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    name: str | None = None
    unit: str | None = None
    pattern: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    sensor: list[Polled] = []


def read(path: str) -> list[Polled]:
    """The sensors of the file; none where there is no path. Raises SettingsError."""
    if not path:
        return []
    try:
        found = msgspec.convert(tomllib.loads(Path(path).read_text(encoding="utf-8")), _File).sensor
        for one in found:
            frames.compile_pattern(one.pattern)
            if urlsplit(one.url).port == 0:
                raise ValueError(f"{one.url} has the port 0")
    except (OSError, ValueError, msgspec.ValidationError, SettingsError) as error:
        raise SettingsError(
            f"THERMOGRAPH_GATEWAY_POLLS is {path!r}: {error}.",
            "It takes a TOML file; backend/gateway/README.md shows one.",
        ) from None
    return found


async def keep_asking(polled: Polled, intake: Intake, metrics: Metrics, askers: Executor) -> None:
    """Ask a sensor in its rhythm, for ever. askers: threads; each is busy for 10 s at most."""
    loop = asyncio.get_running_loop()
    pattern = frames.compile_pattern(polled.pattern)
    due = loop.time()
    while True:
        try:
            body = await loop.run_in_executor(askers, ask, polled.url)
            for line in lines(polled, body):
                frame = frames.parse(line, pattern)._replace(device=polled.device)
                answer = await intake.keep(frame, polled.url)
                if not isinstance(answer, int):
                    metrics.trouble("poll", polled.url, answer.message)
        except (OSError, http.client.HTTPException, MessageRejected) as error:
            metrics.trouble("poll", polled.url, str(error) or type(error).__name__)
        # Its rhythm does not drift; what was missed while it did not answer is not made up for.
        due = max(due + polled.every, loop.time())
        await asyncio.sleep(due - loop.time())


def ask(url: str) -> bytes:
    """The body of the answer. Raises OSError, HTTPException, MessageRejected."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT)
    try:
        connection.request("GET", parts._replace(scheme="", netloc="").geturl() or "/")
        response = connection.getresponse()
        if response.status != 200:
            raise MessageRejected(f"it answered {response.status}")
        body = response.read(LARGEST + 1)
    finally:
        connection.close()
    if len(body) > LARGEST:
        raise MessageRejected(f"its answer is over {LARGEST} bytes")
    return body


def lines(polled: Polled, body: bytes) -> list[bytes]:
    """The answer's lines, as frames takes them. Raises MessageRejected."""
    if polled.name is not None:
        number = body.decode(errors="replace").strip()
        return [f"{polled.name} {number} {polled.unit or ''}".encode()]
    found = [line for line in body.split(b"\n") if line.strip()]
    if not found or max(map(len, found)) > LINE:
        raise MessageRejected(f"its answer is empty, or a line is over {LINE} bytes")
    return found
