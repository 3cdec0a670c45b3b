"""Battery: many wakes of an ESP32 over fakes/, on virtual time. Each check is a function of no arguments."""

import json
import os

from thermograph import kept
from thermograph.boards import rtc_memory
from thermograph.outbox import Outbox
from thermograph.saving import SavingNode

from esp32_bench import board, chip, folder, fresh, remove, settle
from nor import Random
from virtual import Broker, Link

MINUTE = 60000


class World:
    """Virtual time of the far side: the chip's."""

    @property
    def now(self):
        return chip.now.ms()

    def pass_by(self, ms):
        chip.now.pass_ms(ms)


class Books(Broker):
    """The backend: what it stored, exactly once or an AssertionError; acks as it goes."""

    def __init__(self):
        Broker.__init__(self)
        self.rows = {}  # seq: (t, quality)
        self.gaps = {}
        self.stored = 0
        self.on_publish = self._publish

    def _publish(self, leaf, payload):
        if leaf != "telemetry":
            return
        message = json.loads(payload)
        if "gap" in message:
            for seq in range(message["gap"][0], message["gap"][1] + 1):
                self.gaps[seq] = message["cause"]
        for index, row in enumerate(message.get("r", ())):
            seen = (message["t"] + row[0], message["tq"])
            assert self.rows.setdefault(message["seq"] + index, seen) == seen, "a seq was used twice"
        while self.stored + 1 in self.rows or self.stored + 1 in self.gaps:
            self.stored += 1
        self.send("ack", {"stream": message["stream"], "seq": self.stored}, retain=True)


def wakes(made, path, books, until):
    """Boots and wakes until this ms of true time; how many there were."""
    from thermograph.boards import power  # stands on the fakes, which esp32_bench has found

    count = 0
    while made.ms() < until:
        count += 1
        try:
            one = board(path)
            if made.true_time:
                set_clock(one, made)
            sensors = one.sensors
            channels = [channel for sensor in sensors for channel in sensor.channels]
            outbox = Outbox(one.flash, os.urandom, channels)

            def link(on_wait, on_message):
                return Link(World(), books, "fridge-1", on_wait, on_message)

            log = kept.crashes(one)
            power.Sleeper(one, SavingNode(one.settings, one, one.clock, outbox, sensors, link, one.store, log)).run()
        except chip.DeepSleep as sleep:
            made.wake(sleep.args[0])
        except chip.Reset:
            made.reset(chip.WDT)
        except chip.PowerCut:
            made.fuse = None
            made.power_on()
    return count


def set_clock(one, made):
    """What Sntp does, where the clock is not set."""
    if one.clock.now()[1] == "none":
        one.clock.set(made.true_unix_ms(), one.clock.uptime(), 1)
        one.on_time(made.true_unix_ms())


def battery(name, **changes):
    path = folder(name)
    settle(
        path,
        battery=True,
        interval=60,
        state_every=3600,
        outbox_size=65536,
        send={"every": 10, "within": 1800},
        **changes,
    )
    made = fresh(sectors=16)
    made.boot_takes = 900
    made.true_time = True
    return made, path


def check_rtc_memory_is_packed_and_rubbish_is_none():
    random = Random(3)
    fields = {"clock": "ntp", "node": {"freed": 1 << 40, "told": [["28ff", "Cel", 21.5]]}}
    data = rtc_memory.pack(fields)
    assert rtc_memory.unpack(data) == fields
    for _ in range(500):
        broken = bytearray(data)
        broken[random(len(broken))] ^= 1 << random(8)
        assert rtc_memory.unpack(broken) is None
    for rubbish in (b"", b"TG1", bytes(2048), b"\xff" * 2048, data[:-1], data + b"\0", bytes(5000)):
        assert rtc_memory.unpack(rubbish) is None
    assert rtc_memory.pack({"told": "x" * 3000}) == b"", "too much is forgotten"


def check_every_wake_samples_its_slot_once():
    """Three hours at a reading a minute: on the minute, none left out, none twice, one connection for ten of them."""
    made, path = battery("once")
    books = Books()
    wakes(made, path, books, 180 * MINUTE)
    slots = [t // MINUTE for t, quality in books.rows.values()]
    assert len(slots) == len(set(slots)) and max(slots) - min(slots) + 1 == len(slots), "a slot was missed or doubled"
    assert len(slots) >= 175 and not books.gaps
    late = [t % MINUTE for t, quality in books.rows.values()]
    assert max(late[3:]) < 500, "a wake takes 0.9 s to boot, and is in time all the same: %r" % late[:20]
    assert 15 <= books.connects <= 24, books.connects
    assert made.radio_hangs == 0
    remove(path)


def check_a_clock_that_runs_wrong_while_it_sleeps_doubles_nothing():
    for ppm in (-20000, 20000):
        made, path = battery("drift")
        made.rtc_ppm = ppm
        books = Books()
        wakes(made, path, books, 90 * MINUTE)
        slots = [(t + MINUTE // 2) // MINUTE for t, quality in books.rows.values()]
        assert len(slots) == len(set(slots)) and max(slots) - min(slots) + 1 == len(slots) and len(slots) >= 79, slots
        remove(path)


def check_without_a_time_the_schedule_holds_over_sleeps():
    made, path = battery("timeless")
    made.true_time = False
    books = Books()
    count = wakes(made, path, books, 120 * MINUTE)
    times = [t for t, quality in books.rows.values()]
    assert {quality for t, quality in books.rows.values()} == {"none"}
    steps = [b - a for a, b in zip(times, times[1:])]
    assert steps and max([abs(step - MINUTE) for step in steps[2:]]) < 1500, steps
    assert 110 <= len(times) <= 121 and count <= 130
    remove(path)


def check_no_broker_costs_no_reading_and_little_radio():
    made, path = battery("alone")
    books = Books()
    wakes(made, path, books, 30 * MINUTE)
    books.up = False
    wakes(made, path, books, 240 * MINUTE)
    books.up = True
    wakes(made, path, books, 300 * MINUTE)
    slots = [t // MINUTE for t, quality in books.rows.values()]
    assert len(slots) == len(set(slots)) and max(slots) - min(slots) + 1 == len(slots) and len(slots) >= 285
    remove(path)


def check_power_cuts_lose_no_reading_and_double_none():
    """The power goes at a random step of the flash, some 30 times; the clock is lost with it."""
    made, path = battery("cuts")
    books = Books()
    random = Random(11)
    for _ in range(30):
        made.fuse = 1 + random(40)
        wakes(made, path, books, made.ms() + (3 + random(12)) * MINUTE)
    made.fuse = None
    wakes(made, path, books, made.ms() + 60 * MINUTE)
    outbox = Outbox(board(path).flash, os.urandom, [])
    assert outbox.last - books.stored < 12 and set(books.gaps.values()) <= {"power-cut"}
    assert sorted(set(books.rows) | set(books.gaps)) == list(range(1, books.stored + 1))
    slots = [t // MINUTE for t, quality in books.rows.values() if quality != "none"]
    assert len(slots) > 100 and len(books.gaps) < 80
    remove(path)


def check_a_watchdog_reset_keeps_time_and_flash():
    made, path = battery("dog")
    books = Books()
    wakes(made, path, books, 20 * MINUTE)
    made.reset(chip.WDT)
    made.true_time = False  # the clock must have been kept
    wakes(made, path, books, 40 * MINUTE)
    assert {quality for t, quality in books.rows.values()} <= {"ntp", "rtc"}
    slots = [t // MINUTE for t, quality in books.rows.values()]
    assert len(slots) == len(set(slots)) and len(slots) >= 28
    remove(path)


class Enough(Exception):
    pass


def lines_of_a_wake(made, path):
    """What the board says from a wake to its next sleep, or for 8 s."""
    from thermograph.boards import power

    one, said, end = board(path), [], made.ms() + 8000
    one.say, tick = said.append, one.watch

    def watch():
        if made.ms() > end:
            raise Enough
        tick()

    def link(on_wait, on_message):
        return Link(World(), Books(), "fridge-1", on_wait, on_message)

    one.watch = watch
    set_clock(one, made)
    outbox = Outbox(one.flash, os.urandom, [channel for sensor in one.sensors for channel in sensor.channels])
    log = kept.crashes(one)
    try:
        power.Sleeper(one, SavingNode(one.settings, one, one.clock, outbox, one.sensors, link, one.store, log)).run()
    except chip.DeepSleep as sleep:
        made.wake(sleep.args[0])
    except Enough:
        made.reset(chip.WDT)
    return said


def check_a_wake_that_takes_longer_than_its_interval_is_said_once():
    for interval, times in ((60, 0), (1, 1)):
        made, path = battery("long")
        settle(path, battery=True, interval=interval, outbox_size=65536)
        made.boot_takes = 3000
        lines_of_a_wake(made, path)  # the first start is no wake
        said = lines_of_a_wake(made, path)
        assert len([text for text in said if "longer than the interval of 1 s: no sleep" in text]) == times, said
        remove(path)


def check_a_person_at_the_button_keeps_it_awake():
    made, path = battery("person")
    books = Books()
    made.pressed[0] = (5 * MINUTE, 5 * MINUTE + 5500)
    one = None
    made.skip(5 * MINUTE)
    one = board(path)
    one.watch()
    assert one.busy()
    for _ in range(60):
        one.pause(100)
        one.watch()
    assert one.busy() and one.setup_wanted() and not one.setup_wanted()
    remove(path)
    assert books.rows == {}
