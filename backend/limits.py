"""How often somebody may do something: sign in, call the API. Counted in this process, or in Redis for all of them.

A key may be hit `most` times at once, and then as often as `most` in `within` seconds on average (GCRA, the generic
cell rate algorithm of ITU-T I.371: of each key only the time is kept at which its bucket will be empty again).
A hit that is refused does not count: who waits as long as told gets through.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from .shared_memory import SharedMemory

# Keys that one process keeps. Past it those are forgotten that are nearest to empty: an attacker's many names must not
# fill the memory, and cost him more than they cost whom he wants to lock out.
MOST_KEYS = 100_000

# KEYS[1]; ARGV: most, within in microseconds. Redis' own clock: those of the web processes may differ.
HIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local within = tonumber(ARGV[2])
local step = within / tonumber(ARGV[1])
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + step
local wait = empty - within - now
if wait > 0.5 then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', empty), 'PX', math.ceil((empty - now) / 1000))
return '0'
"""


class Limits(Protocol):
    def hit(self, key: str, most: int, within: float) -> float:
        """Count one hit of `key` and return 0.0; or, if there were too many, count nothing: seconds to wait.

        most: hits (at least 1) in `within` seconds.
        """


class ProcessLimits:
    """Limits of one process, in its memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds, steady."""
        self._clock = clock
        self._lock = threading.Lock()
        self._empty: dict[str, float] = {}

    def hit(self, key: str, most: int, within: float) -> float:
        with self._lock:
            now = self._clock()
            empty = max(self._empty.get(key, now), now) + within / most
            wait = empty - within - now
            # Less than a microsecond is what adding floats has left.
            if wait > 1e-6:
                return wait
            if len(self._empty) >= MOST_KEYS and key not in self._empty:
                self._forget(now)
            self._empty[key] = empty
            return 0.0

    def _forget(self, now: float) -> None:
        """Make room: what is empty anyway, and if that is not enough the half that is nearest to it."""
        kept = sorted((empty, key) for key, empty in self._empty.items() if empty > now)
        surplus = max(0, len(kept) - MOST_KEYS // 2)
        self._empty = {key: empty for empty, key in kept[surplus:]}


def choose(memory: SharedMemory | None) -> Limits:
    """Limits of all processes where they share a Redis, else of this one."""
    return ProcessLimits() if memory is None else SharedLimits(memory, ProcessLimits())


class SharedLimits:
    """Limits of all processes, in Redis; of this one alone while Redis does not answer."""

    def __init__(self, memory: SharedMemory, alone: Limits) -> None:
        self._memory = memory
        self._alone = alone

    def hit(self, key: str, most: int, within: float) -> float:
        found = self._memory.run(HIT, [f"limit:{key}"], [most, round(within * 1e6)])
        return self._alone.hit(key, most, within) if found is None else float(found) / 1e6
