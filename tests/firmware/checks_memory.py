"""The board's memory (boards/memory.py) on the sums of a real one (fakes/idf.py); on CPython and on MicroPython."""

import sys

import thermograph

from esp32_bench import board, chip, folder, fresh, model, put_memory_on, remove, settle

# The memory table of firmware/README.md: what of ESP-IDF's is free, and the largest block.
STAGES = (("boot", 139120, 110592), ("active", 100600, 98304), ("joined", 94500, 94208), ("socket", 93920, 90112))
# The stack held while the heap grows, with Wi-Fi connected: Python's total then, and ESP-IDF's free.
STEPS = (
    (0, 112000, 35050),
    (33000, 111936, 37000),
    (34000, 111936, 37000),
    (36000, 109952, 39140),
    (38000, 107968, 41200),
    (40000, 105984, 43200),
    (46000, 99968, 49400),
)
TOTAL = 105984
mbedtls = __import__("mbedtls")  # of fakes/, which esp32_bench puts in reach
FIRMWARE = thermograph.__file__.rsplit("/", 2)[0] + "/"


def at(stage, hidden=0):
    """The memory of a chip that has come so far. hidden: bytes that its largest block has more."""
    made = fresh(sectors=4)
    memory = made.idf = model.Idf(made.ms, model.BOOT[0] + hidden)
    names = [name for name, _, _ in STAGES]
    if names.index(stage) > 0:
        assert memory.radio(True)
    if names.index(stage) > 1:
        memory.join()
    if names.index(stage) > 2:
        memory.take(model.SOCKET)
    return memory


class Shelf:
    """Objects that live."""

    def __init__(self, memory):
        self.objects = []
        before = memory.heap.roots
        memory.heap.roots = lambda: before() + self.objects


def fill(memory, total, size=1000):
    """Fill the heap until it has more than this."""
    while memory.heap.total <= total:
        memory.heap.fill(size)


def check_the_fake_keeps_the_sums_of_the_table():
    for stage, free, largest in STAGES:
        memory = at(stage)
        assert (memory.free, memory.largest) == (free, largest), stage
    for stack, total, free in STEPS:
        memory = at("joined")
        lock = memory.threads.allocate_lock()
        lock.acquire()
        if stack:
            memory.threads.stack_size(stack)
            memory.threads.start_new_thread(None, (lock,))
        fill(memory, 56000)
        if stack:
            lock.release()
            chip.now.pass_ms(100)
        assert memory.heap.total == total and abs(memory.free - free) <= 100, (stack, memory.heap.total, memory.free)
    memory = at("socket")
    fill(memory, 112000)
    assert memory.heap.total == 143936 and abs(memory.free - 1780) < 200, (memory.heap.total, memory.free)
    memory = at("boot")
    fill(memory, 112000)
    assert memory.heap.total == 163968 and not memory.radio(True), "WiFi Out of Memory"


def check_the_formula_of_the_step_fits_every_row():
    """What the area has: the largest block less the stack, less 4,240, and never more than the heap has already. But a
    block may be up to a bin larger than ESP-IDF tells, so size_heap() looks before it lets the heap grow."""
    for stack, total, _ in STEPS[1:]:
        assert abs(56000 + min(56000, 94208 - stack - 4240) - total) <= 64, (stack, total)
    assert 56000 + model.of_area(51200) == TOTAL


def check_the_second_step_is_sized_at_every_stage_and_whatever_the_bin_hides():
    for stage in ("boot", "active", "joined", "socket"):
        for hidden in range(-3000, 3001, 750):
            memory = at(stage, hidden)
            start = put_memory_on(memory)
            assert start.size_heap() == TOTAL == memory.heap.total, (stage, hidden, memory.heap.total)
            chip.now.pass_ms(100)
            assert not memory.threads.parked and memory.threads._size == 0
            memory.heap.collect()
            assert memory.heap.total == TOTAL, "the area is not empty, so it stays"
            assert memory.heap.mem_alloc() <= 20000 + 112, "but as little as that takes"
            assert memory.lowest[1] > 16000, "never out of memory"
            assert start.size_heap() == TOTAL and chip.now.ms() < 1000, "it is done once"


def check_wifi_comes_up_after_the_step_and_leaves_what_tls_needs():
    memory = at("boot")
    put_memory_on(memory).size_heap()
    assert memory.radio(True)
    memory.join()
    assert abs(memory.free - 43200) <= 100, memory.free


def check_a_heap_that_cannot_be_sized_is_left_as_it_is():
    memory = at("boot")
    memory.leave(30000)
    assert put_memory_on(memory).size_heap() == 56000 and not memory.threads.parked
    memory = at("boot")
    memory.threads.start_new_thread = refuse
    assert put_memory_on(memory).size_heap() == 56000


def refuse(call, arguments):
    raise OSError("can't create thread")


def check_the_heap_is_sized_before_what_fills_it_is_loaded():
    """main.py's own lines, in their order; a project on wokwi.com runs them too."""
    with open(FIRMWARE + "main.py") as file:
        text = file.read()
    assert 0 < text.index("size_heap()") < text.index("boards.esp32 import Esp32")


class NoTime:
    @staticmethod
    def tick():
        pass


class Board:
    """A board on a fresh chip, joined, with its guard, and what it says."""

    def __init__(self, **changes):
        self.path = folder("memory")
        settle(self.path, **changes)
        self.chip = fresh(sectors=4)
        self.idf = self.chip.idf
        self.board = board(self.path)
        self.guard = self.board.guard
        self.said, self.taken = [], []
        self.guard.say = self.said.append
        self.network = self.board.network
        self.network._time = NoTime  # it would open sockets
        for _ in range(300):
            self.network.up()
            self.board.pause(20)
            self.board.watch()
        assert self.network.up()

    def close(self):
        remove(self.path)


def check_memory_is_held_while_no_tls_is_open_and_an_allocation_too_large_fails():
    one = Board()
    assert sum([size for _, size, _ in one.idf.threads.parked]) == 28000 + model.TASK
    assert 12000 < one.idf.free < 13000, one.idf.free
    try:
        one.idf.heap.fill(40000 + 20000)
        raise AssertionError("it took what is for TLS")
    except MemoryError:
        pass
    assert one.idf.heap.total == TOTAL
    one.guard.do("make_room")
    assert not one.idf.threads.parked and one.idf.free > 42000
    one.guard.do("hold")
    one.guard.do("hold")
    assert len(one.idf.threads.parked) == 1, "held once"
    one.close()


def check_without_a_large_block_it_is_held_in_pieces_and_never_all():
    """After the first connection the largest block is 17 to 23 kB."""
    one = Board()
    one.guard.do("make_room")
    split = one.idf.take(20000)
    wall = one.idf.take(2000)
    one.idf.give(split)
    one.guard.do("hold")
    assert len(one.idf.threads.parked) == 2 and 12000 <= one.idf.free < 20000, one.idf.threads.parked
    one.guard.do("make_room")
    assert not one.idf.threads.parked
    one.idf.give(wall)
    one.idf.leave(16000)
    one.guard.do("hold")
    assert not one.idf.threads.parked and not one.guard.lock.locked, "nothing can be spared"
    one.close()


def secured(one, chain="EC", lack="not signed", wrong=None, timeout=3000):
    """A Link whose TLS is fakes/mbedtls.py's, on this board."""
    sys.modules["tls"] = mbedtls
    from thermograph.boards import sockets, tls_micropython
    from thermograph.link import Link

    del sys.modules["tls"]
    tls_micropython.tls, tls_micropython.select = mbedtls, Select
    sockets.sys = Select
    Broker.tls.ca = "a CA"
    mbedtls.chain, mbedtls.lack, mbedtls.wrong = chain, lack, wrong
    one.network.stream = lambda ip, port: Wire(one)
    one.board.clock._quality = "ntp"
    one.board.clock.now = lambda: (0, "ntp")
    return Link(one.network, one.board.clock, Broker, "fridge-1", lambda: 100, None, timeout)


class Select:
    """select, and sys as it is on a board."""

    poll, POLLIN, POLLOUT = mbedtls.Poll, 1, 4

    class implementation:
        name = "micropython"


class Broker:
    host, port, user, password, keepalive = "127.0.0.1", 8883, None, None, 30

    class tls:
        ca, host = "a CA", "broker.example"


class Wire:
    """A Stream that is connected. error: what its next send or recv raises."""

    raw = guard = error = None

    def __init__(self, one):
        self._one = one
        self._taken = one.idf.take(model.SOCKET)
        assert self._taken

    def send(self, data):
        if self.error:
            raise self.error
        return len(data)

    def recv(self, size):
        return None

    def wait(self, writing, ms):
        chip.now.pass_ms(max(1, ms))
        return writing

    def close(self):
        self._one.idf.give(self._taken)
        if self.guard:
            self.guard.do("hold")


def failed(link):
    from thermograph.errors import LinkError

    try:
        link.connect()
    except LinkError as error:
        return error
    raise AssertionError("connected")


def check_every_chain_connects_and_10_kb_stay_free_and_it_is_held_again():
    for chain in model.CHAINS:
        one = Board()
        link = secured(one, chain)
        for _ in range(3):
            link.connect()
            assert not one.idf.threads.parked and one.idf.free >= 10000, (chain, one.idf.free)
            link.drop()
            assert one.idf.threads.parked and one.idf.free < 15000
        assert "out of memory" not in "".join(one.said)
        one.close()


def check_with_the_heap_as_it_grew_by_itself_the_large_chain_has_no_room():
    """What the issue saw: 112,000 for Python. It is told before the handshake, and nothing is taken."""
    one = Board()
    one.idf.take(8300)
    link = secured(one, "RSA-4096")
    error = failed(link)
    assert error.step == "tls", error
    assert "tls: out of memory: ESP-IDF has 34," in str(error), error
    assert str(error).endswith(" bytes free, a TLS handshake needs 38,000"), error
    assert one.idf.threads.parked and not link.connected and len(str(error)) <= 120
    one.close()


def check_a_lack_in_the_handshake_is_named_whatever_it_looks_like():
    """Another took the memory meanwhile: then nothing says memory but the watermark."""
    for lack in ("not signed", -17040, -203, 116, 113, 12, "hangs"):
        one = Board()
        link = secured(one, "RSA-4096", lack)
        one.guard.do = Meanwhile(one)
        start = one.chip.ms()
        error = failed(link)
        assert str(error).startswith("tls: out of memory: ESP-IDF came down to "), (lack, str(error))
        assert one.chip.ms() - start < 4000, "its own deadline"
        one.idf.give(one.taken.pop())
        one.guard.do.rest = 33000
        assert "out of memory: " in str(failed(link)), "the second time it does not come as low, and is the same"
        one.guard.do = one.guard.do.do
        for taken in one.taken:
            one.idf.give(taken)
        link.connect()
        link.drop()
        mbedtls.wrong = OSError(-17040) if lack == "hangs" else ValueError(mbedtls.NOT_SIGNED)
        assert "memory" not in str(failed(link)), "it has connected since"
        one.close()


class Meanwhile:
    """make_room(), and then all but `rest` bytes are taken."""

    def __init__(self, one):
        self.do, self._one = one.guard.do, one
        self.rest = 32000

    def __call__(self, act, *args):
        told = self.do(act, *args)
        if act == "make_room":
            self._one.taken.append(self._one.idf.leave(self.rest))
        return told


def check_real_threads_wait_for_the_lock_and_end():
    """_thread as it is, with the only stack size that every PC takes."""
    import _thread
    import time

    from thermograph.boards import memory, memory_acts

    at("boot")
    memory.thread, memory.time = _thread, RealTime
    wait, ended = memory.wait, []

    def told(lock):
        wait(lock)
        ended.append(1)

    memory.wait = told
    before = _thread.stack_size(0)
    _thread.stack_size(before)
    try:
        lock = _thread.allocate_lock()
        for _ in range(2):
            del ended[:]
            lock.acquire()
            memory_acts.park(65536, lock)
            memory_acts.park(65536, lock)
            time.sleep(0.05)
            assert not ended
            memory_acts.unpark(131072, lock)
            assert len(ended) == 2
        assert _thread.stack_size() == before
    finally:
        memory.wait = wait


class RealTime:
    @staticmethod
    def sleep_ms(ms):
        import time

        time.sleep(ms / 1000)


def check_with_plenty_of_memory_the_same_errors_keep_their_text():
    texts = {
        "tls: the broker's certificate is refused: The certificate is not correctly signed by the trusted CA":
            ValueError(mbedtls.NOT_SIGNED),
        "tls: OSError: ": OSError(-17040),
    }  # fmt: skip
    for text, wrong in texts.items():
        one = Board()
        error = failed(secured(one, wrong=wrong))
        assert str(error).startswith(text) and "memory" not in str(error), error
        one.close()


def check_what_ran_out_before_the_attempt_is_not_its_fault():
    one = Board()
    assert one.idf.take(1000000) is None and sum(one.idf.lowest) == 0
    error = failed(secured(one, wrong=ValueError(mbedtls.NOT_SIGNED)))
    assert "certificate is refused" in str(error) and "memory" not in str(error), error
    one.close()


def check_without_tls_116_and_113_with_little_memory_are_no_firewall():
    for number in (116, 113):
        for left in (1780, 30000):
            one = Board()
            link = secured(one)
            link.tls = None
            Wire.error = OSError(number)
            one.guard.do("make_room")
            one.idf.leave(left + model.SOCKET - one.idf.rest)
            try:
                error = str(failed(link))
            finally:
                Wire.error = None
            assert ("out of memory: ESP-IDF came down to 1," in error) == (left == 1780), error
            assert str(number) in error
            one.close()


def check_a_memory_error_in_the_link_is_a_link_error_that_names_python_s_heap():
    one = Board()
    link = secured(one)
    one.network.stream = no_memory
    error = failed(link)
    assert error.step == "tcp" and "out of memory: Python's heap has " in str(error) and "of 105,984" in str(error), (
        error
    )
    one.close()


def no_memory(ip, port):
    raise MemoryError("memory allocation failed, allocating 2048 bytes")


def check_wifi_s_own_words_for_it_are_named_too():
    path = folder("wifi")
    settle(path)
    made = fresh(sectors=4)
    one = board(path)
    made.idf.leave(9000)
    link = secured_on(one)
    error = failed(link)
    assert "wifi: out of memory: ESP-IDF came down to " in str(error) and "WiFi Out of Memory" in str(error), error
    made = fresh(sectors=4)
    one = board(path)
    made.idf.radio = lambda on: False  # there is enough, but not in the pieces that it wants
    error = failed(secured_on(one))
    assert "wifi: out of memory: ESP-IDF " in str(error) and "WiFi Out of Memory" in str(error), error
    remove(path)


def secured_on(one):
    """A Link on this board's own radio."""
    from thermograph.link import Link

    one.network.pause = lambda ms, waited_for=None: one.pause(ms)

    def on_wait():
        one.pause(20)
        one.watch()
        return 20

    return Link(one.network, one.clock, Broker, "fridge-1", on_wait, None, 3000)


def check_the_portal_has_what_is_held_otherwise():
    one = Board()
    one.board.ports = (0, 0)
    seen = []

    def on_wait():
        seen.append(len(one.idf.threads.parked))
        chip.now.skip(60000)
        return 100

    assert one.idf.threads.parked and one.board.setup(on_wait) is False
    assert seen and not any(seen) and one.idf.threads.parked, "and it is held again"
    one.close()


def third_step():
    """A board whose heap has grown once more, and what fills it."""
    one = Board()
    one.guard.do("make_room")
    shelf = Shelf(one.idf)
    while one.idf.heap.total <= TOTAL:
        shelf.objects.append(one.idf.heap.fill(1000))
    return one, shelf


def check_a_third_step_is_given_back_when_it_is_empty():
    one, shelf = third_step()
    for tenth in range(1300):
        one.board.pause(100)
        one.board.watch()
        if tenth == 200:
            assert one.idf.heap.total > 106500 and one.idf.largest < 30000
            shelf.objects.clear()
    assert one.idf.heap.total == TOTAL and one.board.must_restart is None
    one.close()


def check_a_third_step_that_stays_for_a_minute_restarts_the_board_and_says_why():
    one, _ = third_step()
    for second in range(80):
        one.board.pause(1000)
        one.board.watch()
        assert (one.board.must_restart is None) == (one.guard.must_restart is None)
        if second < 55:
            assert one.board.must_restart is None
    assert "Python's heap has grown to 1" in one.board.must_restart and "ESP-IDF has " in one.board.must_restart
    assert any(["free of 1" in text and "free of 105984" not in text for text in one.said]), one.said
    one.close()


def check_a_contact_restarts_for_it_in_order():
    from thermograph import kept
    from thermograph.contact import Contact

    class Mains:
        battery, restart_after, device = False, 0, "fridge-1"

    class Idle:
        connected, timeout = False, 0

        def set_last_will(self, topic, message, retain, qos):
            pass

    one = Board()
    one.board.store.do("load")
    contact = Contact(
        Mains,
        one.board,
        one.board.clock,
        None,
        lambda on_wait, on_message: Idle(),
        one.board.store,
        kept.crashes(one.board),
    )
    said = []
    one.board.say = said.append
    contact._look_after()
    one.guard.must_restart = "Python's heap has grown to 120,000 bytes, ESP-IDF has 1,780 left"
    try:
        contact._look_after()
        raise AssertionError("it goes on")
    except chip.Reset:
        assert said[-1].endswith("restart: " + one.guard.must_restart), said
    one.close()


def check_the_figures_are_said_at_the_start_and_every_hour():
    one = Board()
    for _ in range(3 * 60 + 5):
        one.board.pause(60000)
        one.board.watch()
    told = [text for text in one.said if " memory: " in text]
    assert len(told) == 4 and told[0].split()[0] < "+5s", told
    live, free, total = one.idf.heap.mem_alloc(), TOTAL - one.idf.heap.mem_alloc(), TOTAL
    text = "heap %d live, %d free of %d; ESP-IDF %d free, largest block %d, lowest %d"
    lowest = sum(one.idf.lowest)
    assert told[-1].endswith(text % (live, free, total, one.idf.free, one.idf.largest, lowest)), told[-1]
    one.close()


def check_health_is_python_s_own_heap_and_esp_idf_s_beside_it():
    one = Board()
    health = one.board.health()
    assert health["free"] == TOTAL - one.idf.heap.mem_alloc(), health
    assert (health["block"], health["idf"]) == (one.idf.largest, one.idf.free), health
    one.close()


def check_where_there_is_no_guard_a_link_says_what_it_always_said():
    from thermograph.boards.sockets import Sockets

    assert Sockets.guard is None
    one = Board()
    one.network.guard = None
    link = secured(one, wrong=OSError(-17040))
    assert "OSError" in str(failed(link)) and not link.connected
    one.close()
