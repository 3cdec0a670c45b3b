"""The HTTP door: POST /readings takes the same lines as the TCP door, GET /metrics tells Prometheus how it goes.

    curl --data-binary 'temperature,21.4' http://127.0.0.1:7008/readings
    {"answers": ["ok 1"]}

200: all lines are on disk; 400: some were refused, the others are on disk; 503: some could not be kept, send again.
With the header Idempotency-Key, line number i of the body has the id KEY.i.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from typing import NamedTuple

import h11

from ..errors import MessageRejected, Unavailable
from . import frames
from .intake import Answer, Intake
from .limits import ANSWERING, BODY, BODY_LINES, HEAD, LINE, READ, Bucket, Doors, Limits
from .metrics import Metrics
from .tcp import say

KEY = re.compile(rb"[!-~]{1,56}")
LAST_LOOK = 0.05  # s


class Refused(Exception):
    """The request's answer is this status, and its connection ends."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Request(NamedTuple):
    method: bytes
    path: bytes
    key: str | None
    body: bytes


class HttpDoor:
    def __init__(
        self,
        intake: Intake,
        doors: Doors,
        limits: Limits,
        metrics: Metrics,
        pattern: frames.Pattern | None,
        page: Callable[[], str],
    ) -> None:
        """page: the text of /metrics."""
        self._intake = intake
        self._doors = doors
        self._limits = limits
        self._metrics = metrics
        self._pattern = pattern
        self._page = page
        self._answering = asyncio.Semaphore(ANSWERING)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; what asyncio.start_server takes."""
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else "unknown"
        refused = self._doors.enter(address)
        if refused:
            self._metrics.trouble("crowding", address, refused)
            writer.transport.abort()
            return
        try:
            # Whoever goes away in the middle has not been answered and will send again: there is nothing to mend.
            with contextlib.suppress(OSError):
                await self._converse(reader, writer, address)
        finally:
            self._doors.leave(address)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD)
        bucket = Bucket(self._limits.rate)
        while True:
            kind = "silent"
            try:
                first = connection.trailing_data[0] or await _read(reader, _now() + self._limits.idle)
                if not first:
                    return
                connection.receive_data(first)
                kind = "slow"
                request = await _receive(connection, reader, _now() + self._limits.line_time)
                status, type_, text, lines = await self._answer(request, address)
                async with asyncio.timeout(self._limits.line_time):
                    await _send(connection, writer, status, type_, text)
                if pause := bucket.take(lines):
                    self._metrics.trouble("flooding", address)
                    await asyncio.sleep(pause)
            except TimeoutError:
                self._metrics.trouble(kind, address)
                return
            except (Refused, h11.RemoteProtocolError) as error:
                self._metrics.trouble("malformed", address, str(error))
                status = error.status if isinstance(error, Refused) else error.error_status_hint
                with contextlib.suppress(h11.LocalProtocolError, TimeoutError):
                    async with asyncio.timeout(1):
                        await _send(connection, writer, status, "text/plain", f"{error}\n", close=True)
                return
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _answer(self, request: Request, address: str) -> tuple[int, str, str, int]:
        """Status, content type, text, and how many lines it took."""
        if request.path == b"/metrics" and request.method == b"GET":
            return 200, "text/plain; version=0.0.4", self._page(), 1
        if request.path != b"/readings":
            raise Refused(404, "there are /readings to POST to and /metrics to GET")
        if request.method != b"POST":
            raise Refused(405, "readings are POSTed")
        lines = [line for line in request.body.split(b"\n") if line.strip()]
        if len(lines) > BODY_LINES:
            raise Refused(413, f"a body is at most {BODY_LINES} lines")
        async with self._answering:
            answers = await asyncio.gather(
                *(self._keep(line, number, request.key, address) for number, line in enumerate(lines))
            )
        status = 200 if answers else 400
        if any(isinstance(answer, MessageRejected) for answer in answers):
            status = 400
        if any(isinstance(answer, Unavailable) for answer in answers):
            status = 503
        return status, "application/json", json.dumps({"answers": [say(one).strip() for one in answers]}), len(lines)

    async def _keep(self, line: bytes, number: int, key: str | None, address: str) -> Answer:
        try:
            if len(line) > LINE:
                raise MessageRejected(f"a line is at most {LINE} bytes")
            frame = frames.parse(line, self._pattern)
        except MessageRejected as error:
            self._metrics.trouble("malformed", address, error.message)
            return error
        if key and frame.id is None:
            frame = frame._replace(id=f"{key}.{number}")
        return await self._intake.keep(frame, address)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _read(reader: asyncio.StreamReader, until: float) -> bytes:
    """Some bytes; none: the client has ended. until: of the loop's clock. Raises TimeoutError."""
    try:
        async with asyncio.timeout_at(until):
            return await reader.read(READ)
    except TimeoutError:
        # This process may have slept meanwhile: what has come is read first.
        async with asyncio.timeout(LAST_LOOK):
            return await reader.read(READ)


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader, until: float) -> Request:
    """The request whose beginning the connection has. Raises Refused, h11.RemoteProtocolError, TimeoutError."""
    request: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await _read(reader, until))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY:
                raise Refused(413, f"a body is at most {BODY} bytes")
        elif isinstance(event, h11.EndOfMessage) and request:
            return Request(request.method, request.target.partition(b"?")[0], _key(request), body)
        else:
            raise Refused(400, "the request is not whole")


def _key(request: h11.Request) -> str | None:
    found = [value for name, value in request.headers if name == b"idempotency-key"]
    if not found:
        return None
    if len(found) > 1 or not KEY.fullmatch(found[0]):
        raise Refused(400, "an Idempotency-Key is 1 to 56 visible ASCII characters")
    return found[0].decode()


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, status: int, type_: str, text: str, close: bool = False
) -> None:
    body = text.encode()
    headers = [("content-type", type_), ("content-length", str(len(body)))] + [("connection", "close")] * close
    for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
