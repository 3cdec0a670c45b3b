"""ESP-IDF's memory: what Wi-Fi and TLS live on, and what Python's heap grows into. README.md, "Memory".

TLS closed:  Python's heap 105,984 | Wi-Fi | held 28,000 | free
TLS open:    Python's heap 105,984 | Wi-Fi | Mbed TLS    | free, at least 10,000

What is done with it seldom is in memory_acts.py, loaded for that moment; what sizes the heap in memory_start.py.
"""

import _thread as thread
import gc
import time  # noqa: F401 - memory_acts.py's

import esp32

from ..moment import let_go

FIRST, GROWN = 56100, 106500  # bytes of Python's heap: one step; more than two, if the second was sized
_LOOK, _TELL = 5000, 3600000  # ms

pinned = None  # memory_start: what keeps the heap's second area from being empty, and so from being given back


def idf():
    """ESP-IDF's (free bytes, largest free block, fewest bytes that were ever free). The last is the sum of its
    regions' minima, so it may be too low, never too high."""
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    return sum([one[1] for one in regions]), max([one[2] for one in regions]), sum([one[3] for one in regions])


def heap():
    """Python's (live bytes, free bytes, total), without ESP-IDF's largest block, which gc.mem_free() counts in."""
    live, free = gc.mem_alloc(), gc.mem_free() - idf()[1]
    return live, free, live + free


def spawn(lock):
    """A thread that waits for the lock. Here, for a thread keeps the globals of who has started it."""
    thread.start_new_thread(wait, (lock,))


def wait(lock):
    with lock:
        pass


class Guard:
    """Keeps Python's heap from taking what Wi-Fi and TLS need, and tells a lack of memory from what it looks like.

    clock: its uptime and text; say(text): the console. must_restart: None, or why the board has to start again.
    blamed: the last failure of the link that came of a lack; whoever has connected since sets it to None. For
    memory_acts.py: lock, held (bytes), lowest (bytes, when the attempt began), sized, grown_at."""

    def __init__(self, clock, say):
        self.clock = clock
        self.say = say
        self.lock = thread.allocate_lock()
        self.held = 0
        self.sized = FIRST < heap()[2] <= GROWN  # else a heap of another size is nobody's fault
        self.grown_at = self.must_restart = self.blamed = None
        self._look_at = self._tell_at = 0
        self.begin()

    def begin(self):
        """An attempt to connect begins: what ran out before is not its fault."""
        self.lowest = idf()[2]

    def do(self, act, *args):
        """One of memory_acts.py."""
        from . import memory_acts

        try:
            return getattr(memory_acts, act)(self, *args)
        finally:
            memory_acts = None
            let_go("boards.memory_acts")

    def tick(self):
        """To be called often: every 5 s it looks whether Python's heap took a third step, every hour it says how
        things stand."""
        now = self.clock.uptime()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK
        if self.sized and (self.grown_at is not None or heap()[2] > GROWN) and self.do("look", now):
            self._tell_at = now
        if now >= self._tell_at:
            self._tell_at = now + _TELL
            self.do("tell")
