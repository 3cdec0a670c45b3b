"""The TCP door: a client opens a socket and writes lines; each is answered when it is on disk.

    client: temperature,21.4\\n         server: ok 1\\n
    client: hello\\n                    server: error a line is name,value or name value unit, or JSON\\n

Every connection is bounded: no more of it is read while readings of it wait to be kept, or its answers to be read.
Its time runs only while it is the client's turn: a disk or a machine that is slow is not its fault.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import NamedTuple, cast

from ..errors import MessageRejected, Unavailable
from . import frames
from .intake import Answer, Intake
from .limits import AT_ONCE, LINE, MALFORMED, READ, Bucket, Doors, Limits
from .metrics import Metrics

KERNEL = 16 * 1024  # bytes of each buffer of a connection in the kernel


class Parts(NamedTuple):
    """What the connections of a door share. buffer: they are read one after the other, so one is enough for all."""

    intake: Intake
    doors: Doors
    limits: Limits
    metrics: Metrics
    pattern: frames.Pattern | None
    buffer: bytearray


def factory(
    intake: Intake, doors: Doors, limits: Limits, metrics: Metrics, pattern: frames.Pattern | None
) -> Callable[[], "Connection"]:
    """What asyncio's create_server takes."""
    parts = Parts(intake, doors, limits, metrics, pattern, bytearray(READ))
    return lambda: Connection(parts)


class Connection(asyncio.BufferedProtocol):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._transport: asyncio.Transport
        self._address = ""
        self._entered = False
        self._rest = b""
        self._order: list[Answer | None] = []  # of the lines that are not answered yet, oldest first
        self._numbered = 0
        self._held = False  # whether its client does not read its answers
        self._bucket = Bucket(parts.limits.rate)
        self._deadline: asyncio.TimerHandle | None = None  # None: it is the gateway's turn
        self._pause: asyncio.TimerHandle | None = None
        self._flooding = False
        self._taking = False
        self._malformed = 0  # lines in a row
        self._ended = False  # whether its client will send no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = self._transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "unknown"
        refused = self._parts.doors.enter(self._address)
        if refused:
            self._close("crowding", refused)
            return
        self._entered = True
        self._transport.set_write_buffer_limits(high=LINE)
        connected = self._transport.get_extra_info("socket")
        # The kernel's own would grow to megabytes each.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL)
        self._wait("silent", self._parts.limits.idle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._entered:
            self._parts.doors.leave(self._address)
        if self._rest:
            self._parts.metrics.unfinished += 1
        for timer in (self._deadline, self._pause):
            if timer:
                timer.cancel()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._parts.buffer

    def buffer_updated(self, nbytes: int) -> None:
        began = not self._rest
        self._rest += self._parts.buffer[:nbytes]
        if began:
            self._wait("slow", self._parts.limits.line_time)
        self._go_on()

    def eof_received(self) -> bool:
        # A client may close its half and still wait for its answers.
        self._ended = True
        return self._busy

    def pause_writing(self) -> None:
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        self._stop_waiting()
        self._go_on()

    @property
    def _busy(self) -> bool:
        return bool(self._order) or self._held or self._flooding

    def _go_on(self) -> None:
        """Take what lines there are, a few at a time; read more only when they are answered."""
        if self._transport.is_closing() or self._taking:
            return
        self._taking = True
        took = False
        while not self._busy and (lines := self._next_lines()):
            took = True
            for line in lines:
                self._take(line)
            self._slow_down(len(lines))
        self._taking = False
        if self._transport.is_closing():
            return
        if took or (self._order and not self._held):
            self._stop_waiting()
        if self._deadline is None and (self._held or not self._busy):
            self._await_client()
        if self._busy:
            self._transport.pause_reading()
        elif self._ended:
            self._transport.close()
        else:
            self._transport.resume_reading()

    def _next_lines(self) -> list[bytes]:
        *lines, self._rest = self._rest.split(b"\n", AT_ONCE)
        longest = max(len(line) for line in (lines or [self._rest]))
        if longest > LINE + 1:
            self._close("long", f"a line is at most {LINE} bytes")
            return []
        return lines

    def _slow_down(self, lines: int) -> None:
        pause = self._bucket.take(lines)
        if pause:
            self._parts.metrics.trouble("flooding", self._address)
            self._flooding = True
            self._pause = asyncio.get_running_loop().call_later(pause, self._calm)

    def _calm(self) -> None:
        self._flooding = False
        self._go_on()

    def _take(self, line: bytes) -> None:
        if not line.strip() or self._transport.is_closing():
            return
        number = self._numbered + len(self._order)
        self._order.append(None)
        try:
            frame = frames.parse(line, self._parts.pattern)
        except MessageRejected as error:
            self._parts.metrics.trouble("malformed", self._address, error.message)
            self._answered(number, error)
            self._malformed += 1
            if self._malformed >= MALFORMED:
                self._close("malformed", f"{MALFORMED} lines in a row were no readings")
            return
        self._malformed = 0
        self._parts.intake.put(frame, self._address, lambda answer: self._answered(number, answer))

    def _answered(self, number: int, answer: Answer) -> None:
        """Answers leave in the order of their lines."""
        self._order[number - self._numbered] = answer
        if self._transport.is_closing():
            return
        ready = next((index for index, one in enumerate(self._order) if one is None), len(self._order))
        text = "".join(say(one) for one in self._order[:ready] if one is not None)
        del self._order[:ready]
        self._numbered += ready
        if text:
            self._transport.write(text.encode())
        self._go_on()

    def _await_client(self) -> None:
        if self._rest or self._held:
            self._wait("slow", self._parts.limits.line_time)
        else:
            self._wait("silent", self._parts.limits.idle)

    def _wait(self, kind: str, seconds: float) -> None:
        """Close the connection as `kind` unless something better happens within these seconds."""
        self._stop_waiting()
        loop = asyncio.get_running_loop()

        def look_once_more() -> None:
            # This process may have slept meanwhile: one more turn of the loop reads what has come first.
            self._deadline = loop.call_later(0, self._close, kind, f"{seconds:g} s")

        self._deadline = loop.call_later(seconds, look_once_more)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _close(self, kind: str, detail: str) -> None:
        if self._transport.is_closing():
            return
        self._parts.metrics.trouble(kind, self._address, detail)
        self._transport.write(f"error {kind}: {detail}\n".encode())
        self._transport.close()
        # It may never read that.
        asyncio.get_running_loop().call_later(1.0, self._transport.abort)


def say(answer: Answer) -> str:
    """The answer's line."""
    if isinstance(answer, int):
        return f"ok {answer}\n"
    if isinstance(answer, Unavailable):
        return f"error busy: {answer.message}; send it again\n"
    return f"error {answer.message}\n"
