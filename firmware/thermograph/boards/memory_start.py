"""The size of Python's heap, once at each start, before what is loaded fills it. main.py lets this module go.

MicroPython's heap has 56,000 bytes at first. When they are full it takes another area: ESP-IDF's largest free block,
but no more than it has. That would be 112,000 in all, and too little for some TLS chains. So it is made to grow here,
now, while most of ESP-IDF's memory is held.
"""

from . import memory
from .memory_acts import park, unpark

_FIRST = 56000  # bytes of the heap's first area
_AREA = 51200  # bytes of ESP-IDF's that the second area takes: 49,984 of Python's, 105,984 in all
_THREAD = 3024  # bytes that a thread takes besides its stack, about
_TRIES = 4
_COARSE, _FINE = 1000, 100  # bytes of one object to fill the heap with


def size_heap():
    """The heap's total in bytes, which is 105,984 afterwards, or what there was if it has grown already (it is given
    back by a soft reset only) or cannot."""
    memory.gc.collect()
    total = memory.heap()[2]
    if total > _FIRST + _FINE:
        return total
    lock = _locked()
    size = _leave_one_area(lock)
    if not size:
        return total
    try:
        memory.pinned = _grow(total + _AREA // 2)
    except MemoryError:
        pass  # it stays as small as it is
    finally:
        unpark(size, lock)
    memory.gc.collect()
    return memory.heap()[2]


def _leave_one_area(lock):
    """Hold so much, until the lock is released, that the largest block left is _AREA: the bytes held, or 0.

    ESP-IDF tells a block's size rounded down to a bin, of 4,096 bytes when it is large and 2,048 when it is as small as
    _AREA, so the second try is exact. Two threads hold it, and the first goes again before the heap grows: else
    ESP-IDF would have had almost nothing left once, and its lowest ever free could not tell of a lack later."""
    held = memory.idf()[1] - _AREA - 2 * _THREAD
    for _ in range(_TRIES):
        half = held // 2 & ~15
        if half < _THREAD:
            return 0
        first = _locked()
        try:
            park(half, first)
        except (OSError, MemoryError):
            return 0
        try:
            park(held - half, lock)
        except (OSError, MemoryError):
            unpark(half, first)
            return 0
        beyond = memory.idf()[1] - _AREA
        unpark(half, first)
        if memory.idf()[1] == _AREA:
            return held - half
        unpark(held - half, lock)
        lock.acquire()
        held += beyond
    return 0


def _grow(total):
    """Fill the heap until it has more than total: the object that then lies in its new area. In small steps at the
    end, for that object stays. MemoryError if it does not grow."""
    filling, free = None, memory.heap()[1]
    while True:
        last = bytearray(_COARSE if free > 4 * _COARSE else _FINE)
        _, free, grown = memory.heap()
        if grown > total:
            return last
        filling = filling, last


def _locked():
    lock = memory.thread.allocate_lock()
    lock.acquire()
    return lock
