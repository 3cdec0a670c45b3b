"""Start services in stages, watch them, restart what dies, stop them in reverse. Knows nothing of what they are.

Everything happens in the main thread, in one loop over one queue of events; the threads that read output and the
signal handlers only put events into it.
"""

import dataclasses
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import ServiceFailed
from .child import Child, Service
from .console import Console

TICK = 0.1
PROBE_EVERY = 0.05
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
# A child that lived this long was well: its next failure is a first failure again.
PROVEN = 60.0
# Sooner than this a second signal is the first one, handed on by make, timeout or a terminal as well.
AGAIN = 1.0


@dataclasses.dataclass
class Slot:
    """A service's place: its child, or when the next one is due."""

    service: Service
    child: Child | None = None
    delay: float = FIRST_DELAY
    due: float = 0.0


class Stop(Exception):
    """The user asked for the end."""


class Supervisor:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._slots: list[Slot] = []
        # SimpleQueue.put may be called from a signal handler; a lock or an Event may not.
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def post(self, event: Callable[[], None]) -> None:
        """Have the main thread call event. From any thread."""
        self._events.put(event)

    @contextmanager
    def guarding(self) -> Iterator["Supervisor"]:
        """Whatever happens inside, at its end no child is left. A stop signal ends it quietly."""
        with self._signals():
            try:
                yield self
            except (Stop, BrokenPipeError):
                self._console.stopping()
                self._stop_all()
                self._console.stopped()
            finally:
                self._stop_all()

    def start(self, services: Sequence[Service]) -> None:
        """Start them side by side and return; wait_ready() waits for them."""
        for service in services:
            self._slots.append(Slot(service, Child(service)))

    def wait_ready(self) -> None:
        """Until all that was started is ready. Raises ServiceFailed, with its last words, for one that never is."""
        while waiting := [slot for slot in self._slots if slot.child and slot.child.ready_after is None]:
            for slot in waiting:
                self._check_start(slot.service, slot.child)
            self._run_events(PROBE_EVERY)

    def watch(self, also: Callable[[], None] = lambda: None) -> None:
        """Restart what ends, until a stop signal. also: called at each turn."""
        while True:
            for slot in self._slots:
                self._check(slot)
            also()
            self._run_events(TICK)

    def _check_start(self, service: Service, child: Child | None) -> None:
        if child is None:
            return
        if child.exit_code is not None:
            raise _failed(child, f"{service.name} ended as it started (exit {child.exit_code}).")
        if service.ready(child):
            self._note_ready(child)
        elif child.age > service.ready_within:
            raise _failed(child, f"{service.name} was not ready within {service.ready_within:g} s.")

    def _check(self, slot: Slot) -> None:
        child = slot.child
        if child is None:
            if time.monotonic() >= slot.due:
                slot.child = Child(slot.service)
            return
        if child.exit_code is not None:
            if child.age > PROVEN:
                slot.delay = FIRST_DELAY
            self._console.died(slot.service.name, child.exit_code, child.last_words(), slot.service.log, slot.delay)
            slot.child, slot.due = None, time.monotonic() + slot.delay
            slot.delay = min(slot.delay * 2, LONGEST_DELAY)
        elif child.ready_after is None:
            if slot.service.ready(child):
                self._note_ready(child)
            elif child.age > slot.service.ready_within:
                # It hangs. Its end brings it back through the restart above.
                child.kill()

    def _note_ready(self, child: Child) -> None:
        child.ready_after = child.age
        self._console.ready(child.service.name, child.service.about, child.ready_after)

    def _run_events(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._events.get(timeout=left)()
            except queue.Empty:
                return

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop() -> None:
            raise Stop

        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        last = -AGAIN

        def ask(*_: object) -> None:
            nonlocal last
            if time.monotonic() - last >= AGAIN:
                last = time.monotonic()
                self._events.put(stop)

        before = {number: signal.signal(number, ask) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop_all(self) -> None:
        running = [slot.child for slot in reversed(self._slots) if slot.child and slot.child.exit_code is None]
        hurry = False
        for child in running:
            if not hurry:
                child.ask_to_stop()
                hurry = not self._wait_for_end(child)
            if child.exit_code is None:
                child.kill()
                self._console.killed(child.service.name)
            child.wait(1.0)
        self._slots.clear()

    def _wait_for_end(self, child: Child) -> bool:
        """False when the user asked again: then the rest is killed as well."""
        deadline = time.monotonic() + child.service.stop_within
        while child.exit_code is None and time.monotonic() < deadline:
            try:
                self._run_events(0.02)
            except Stop:
                return False
            except BrokenPipeError:
                continue
        return True


def _failed(child: Child, what: str) -> ServiceFailed:
    words = "".join(f"\n    {line}" for line in child.last_words())
    said = f" Its last words:{words}" if words else " It said nothing."
    return ServiceFailed(what + said, f"Its log: {child.service.log}")
