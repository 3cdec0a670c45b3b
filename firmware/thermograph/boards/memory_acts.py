"""What a Guard of memory.py does with ESP-IDF's memory: hold it, make room for TLS, name a lack. Loaded for each."""

from ..errors import LinkError
from ..moment import let_go
from . import memory
from .memory import GROWN, heap, idf

_HELD = 28000  # bytes, while no TLS connection is open: about what one takes
_SPARE = 12000  # bytes that a hold leaves to Wi-Fi and lwIP
_TASK = 3000  # bytes of a thread besides its stack, and of what is lost at the edges of a block
_PIECE = 4096  # bytes of the smallest stack
_HANDSHAKE = 38000  # bytes: 36,800 at its peak, or 28,000 while it is open and 10,000 free beside it
_SPENT = 4096  # bytes free, under which ESP-IDF's own allocations have begun to fail
_PATIENCE = 60000  # ms
_FOR_A_MOMENT = ("start", "commands", "sntp", "sensors.scan", "boards.memory_start", "boards.access_point")


def park(size, lock):
    """A thread that keeps so many bytes of ESP-IDF's memory, as its stack, until the lock is free. OSError if there is
    no block of this size."""
    thread = memory.thread
    before = thread.stack_size(size & ~15)
    try:
        memory.spawn(lock)
    finally:
        thread.stack_size(before)
    memory.time.sleep_ms(20)  # until then its stack is not its own


def unpark(size, lock):
    """Let the threads end that wait for this lock, and see their memory come back: within 100 ms."""
    expected = idf()[0] + size
    lock.release()
    for _ in range(10):
        memory.time.sleep_ms(10)  # FreeRTOS' idle task frees it
        if idf()[0] >= expected:
            return


def hold(guard):
    """Hold memory until make_room(), in as many pieces as it takes: after a connection there is no block of the whole
    size. What cannot be had is not held."""
    if guard.held:
        return
    guard.lock.acquire()
    while guard.held < _HELD:
        free, block, _ = idf()
        size = min(_HELD - guard.held, block - _TASK, free - _SPARE - _TASK)
        if size < _PIECE:
            break
        try:
            park(size, guard.lock)
        except (OSError, MemoryError):
            break
        guard.held += size
    if not guard.held:
        guard.lock.release()


def release(guard):
    """Hold nothing until hold()."""
    if guard.held:
        held, guard.held = guard.held, 0
        unpark(held, guard.lock)


def make_room(guard):
    """Give a TLS handshake what it needs. LinkError if there is too little, and then it is held again. Whoever calls
    this calls hold() when the connection is closed."""
    release(guard)
    if idf()[0] < _HANDSHAKE:
        let_go(*_FOR_A_MOMENT)
        memory.gc.collect()
    free = idf()[0]
    if free < _HANDSHAKE:
        hold(guard)
        text = "out of memory: ESP-IDF has {:,} bytes free, a TLS handshake needs {:,}"
        raise LinkError(text.format(free, _HANDSHAKE), "tls")


def lack(guard, error):
    """The text to say instead, if this error of the link came of a lack of memory; else None. To be asked while the
    connection still has its memory."""
    text = str(error)
    if isinstance(error, MemoryError):
        memory.gc.collect()
        _, free, total = heap()
        return "out of memory: Python's heap has {:,} bytes free of {:,}; {}".format(free, total, text)
    free, _, lowest = idf()
    before, guard.lowest = guard.lowest, lowest
    if "out of memory" in text:
        return None
    text = text[len(error.step) + 2 :] if isinstance(error, LinkError) else "%s %s" % (type(error).__name__, text)
    lacked = free < _SPENT or lowest < min(before, _SPENT) or "Out of Memory" in text
    if lacked or text == guard.blamed:  # the second time need not come lower than the first
        guard.blamed = text
        return "out of memory: ESP-IDF came down to {:,} bytes free; {}".format(min(free, lowest), text)


def look(guard, now):
    """Python's heap may have taken a third step: give back an area that has become empty; after a minute the board has
    to start again. True if that is news. now: uptime in ms."""
    if heap()[2] > GROWN:
        memory.gc.collect()
    if heap()[2] <= GROWN:
        guard.grown_at = None
    elif guard.grown_at is None:
        guard.grown_at = now
        return True
    elif now - guard.grown_at >= _PATIENCE:
        text = "Python's heap has grown to {:,} bytes, ESP-IDF has {:,} left"
        guard.must_restart = text.format(heap()[2], idf()[0])
    return False


def tell(guard):
    """How things stand, to the console."""
    memory.gc.collect()
    text = "{} memory: heap {} live, {} free of {}; ESP-IDF {} free, largest block {}, lowest {}"
    guard.say(text.format(guard.clock.text(), *heap() + idf()))
