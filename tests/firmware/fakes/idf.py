"""The memory of an ESP32 with the official MicroPython: what idf_heap_info, gc and _thread tell of it, in bytes.

The sums are those that were measured on an emulated ESP32 with ESP32_GENERIC 1.27.0 (firmware/README.md, "Memory").
Modelled are the largest block (`main`), all else that is free (`rest`), and what takes of them. ESP-IDF tells a
block's size rounded down to a bin of its allocator, TLSF: a 16th of the power of two below it.
"""

BOOT = 112800, 26320  # main, rest
RADIO = 14400, 24120  # WLAN.active(True)
JOINED = 4100, 2000
SOCKET = 580
FIRST_AREA = 56000
FULL_STEP = 59450  # what an area costs that doubles the heap
AREA = 100  # beside an area of another size
TASK = 2400  # of a thread, beside its stack
END_OF_TASK = 25  # ms until the idle task has freed it

# Of TLS by the server's chain: at the peak of the handshake, and while it is open.
CHAINS = {
    "EC": (30000, 24600),
    "EC, intermediate": (31100, 25700),
    "RSA-2048": (31200, 25800),
    "RSA-4096": (36800, 28000),
}


class Idf:
    """ms(): the time that passes. heap: Python's, as gc shows it; threads: as _thread does."""

    def __init__(self, ms, main=BOOT[0]):
        self._cells = [[main, True]]  # of the large region, in order: size, whether it is free
        self.rest = BOOT[1]
        self.lowest = [self.rest, main]
        self._ms = ms
        self._radio = self._joined = None
        self._ending = []  # (ms, what was taken) of threads whose memory comes back then
        self.heap = Heap(self)
        self.threads = Threads(self)

    # -- what is there

    @property
    def blocks(self):
        """The large region's free blocks."""
        self._settle()
        return [size for size, free in self._cells if free]

    @property
    def free(self):
        return sum(self.blocks) + self.rest

    @property
    def largest(self):
        return fit(max(self.rest, *self.blocks, 0))

    def regions(self):
        """(size, free, largest block, fewest ever free) of each."""
        blocks = self.blocks
        return [
            (40000, self.rest, fit(self.rest), self.lowest[0]),
            (120000, sum(blocks), fit(max(0, 0, *blocks)), self.lowest[1]),
        ]

    # -- taking and giving

    def take(self, size, rest=0, whole=False):
        """What give() takes back, or None: then the attempt has used up what there was, for a moment. whole: in one
        piece."""
        blocks = self.blocks
        if self.rest < rest or sum(blocks) < size or (whole and max(0, 0, *blocks) < size):
            if not whole:
                self._mark(0, 0)
            return None
        taken = []
        while size > 0:
            cell = self._cut(min(size, max(self.blocks)))
            taken.append(cell)
            size -= cell[0]
        self.rest -= rest
        self._mark(self.rest, sum(self.blocks))
        return taken, rest

    def give(self, taken):
        cells, rest = taken
        for cell in cells:
            cell[1] = True
        self.rest += rest
        merged = []
        for cell in self._cells:
            if merged and merged[-1][1] and cell[1]:
                merged[-1][0] += cell[0]
            else:
                merged.append(cell)
        self._cells = merged

    def leave(self, size):
        """Somebody takes all of the large region but this."""
        return self.take(sum(self.blocks) - size)

    def give_later(self, taken):
        self._ending.append((self._ms() + END_OF_TASK, taken))

    def _settle(self):
        now = self._ms()
        for end in [end for end in self._ending if end[0] <= now]:
            self._ending.remove(end)
            self.give(end[1])

    def _cut(self, size):
        """From the front of the smallest block that is large enough."""
        at = min([(cell[0], at) for at, cell in enumerate(self._cells) if cell[1] and cell[0] >= size])[1]
        left = self._cells[at][0] - size
        cell = self._cells[at] = [size, False]
        if left:
            self._cells.insert(at + 1, [left, True])
        return cell

    def _mark(self, rest, main):
        self.lowest = [min(self.lowest[0], rest), min(self.lowest[1], main)]

    # -- Wi-Fi

    def radio(self, on):
        """False if there is no memory for it."""
        if on:
            self._radio = self.take(*RADIO)
            return self._radio is not None
        for taken in (self._radio, self._joined):
            if taken:
                self.give(taken)
        self._radio = self._joined = None
        return True

    def join(self):
        self._joined = self._joined or self.take(*JOINED)


class Heap:
    """gc, and in `fill` what bytearray does: the objects of roots() live, the others until the next collect()."""

    def __init__(self, idf):
        self._idf = idf
        self.base = 20000  # live in the first area, whatever is collected
        self.areas = [FIRST_AREA]
        self._taken = [None]
        self._objects = []  # (area, size, object)
        self.roots = lambda: []

    @property
    def total(self):
        return sum(self.areas)

    def mem_alloc(self):
        return self.base + sum([size for _, size, _ in self._objects])

    def mem_free(self):
        """As gc_info does it: and what the heap could still take."""
        return self.total - self.mem_alloc() + self._idf.largest

    def collect(self):
        """An area that is empty then goes back, but for the first."""
        alive = self.roots()
        self._objects = [entry for entry in self._objects if any([entry[2] is one for one in alive])]
        while len(self.areas) > 1 and not self._used(len(self.areas) - 1):
            self.areas.pop()
            self._idf.give(self._taken.pop())

    def fill(self, size):
        """A bytearray of so many bytes, or MemoryError."""
        blocks = (size + 15) // 16 * 16
        area = self._area_for(blocks)
        if area is None:
            self._grow(blocks)
            area = len(self.areas) - 1
        made = bytearray(size)
        self._objects.append((area, blocks, made))
        return made

    def _used(self, area):
        return sum([size for at, size, _ in self._objects if at == area]) + (0 if area else self.base)

    def _area_for(self, size):
        for area in range(len(self.areas)):
            if self.areas[area] - self._used(area) >= size:
                return area

    def _grow(self, failed):
        """gc_try_add_heap: as much as there is already, if it is there in one piece; at least what is needed."""
        needed = failed + max(2048, failed * 13 // 512)
        block = self._idf.largest
        if block < needed:
            raise MemoryError("memory allocation failed, allocating %d bytes" % failed)
        whole = max(self.total, needed) * 131 // 128 + 44
        usable, cost = of_area(block), block + AREA
        if block > whole + AREA:
            usable, cost = max(self.total, needed), max(whole + AREA, FULL_STEP)
        self.areas.append(usable)
        self._taken.append(self._idf.take(min(cost, max(self._idf.blocks)), whole=True))


class Threads:
    """_thread: threads that wait for a lock, and keep memory until it is released."""

    def __init__(self, idf):
        self._idf = idf
        self._size = 0
        self.parked = []  # (lock, bytes, what was taken)

    def stack_size(self, size=0):
        before, self._size = self._size, size
        return before

    def allocate_lock(self):
        return Lock(self)

    def start_new_thread(self, call, arguments):
        size = max(self._size, 4096) + TASK
        taken = self._idf.take(size, whole=True)
        if taken is None:
            raise OSError("can't create thread")
        assert arguments[0].locked, "it would not wait"
        self.parked.append((arguments[0], size, taken))

    def released(self, lock):
        for entry in [entry for entry in self.parked if entry[0] is lock]:
            self.parked.remove(entry)
            self._idf.give_later(entry[2])


class Lock:
    def __init__(self, threads):
        self._threads = threads
        self.locked = False

    def acquire(self):
        assert not self.locked, "for ever"
        self.locked = True

    def release(self):
        assert self.locked
        self.locked = False
        self._threads.released(self)


def fit(size):
    """What ESP-IDF tells of a block of this size."""
    power = 1
    while power * 2 <= size:
        power *= 2
    bin = max(power // 16, 4)
    return size // bin * bin


def of_area(size):
    """What Python can use of an area: 3 of 131 bytes are gc's tables, in steps of 64; and 44 its head."""
    return (size - 44) * 128 // 131 // 64 * 64
