"""A Node on virtual time: what it sends and when, settings that cut it off, safe mode, watchdog, battery.

On CPython and on MicroPython. The far side is virtual.Broker; `main` is firmware/main.py itself.
"""

import json

from thermograph import kept
from thermograph.node import Node
from thermograph.outbox import Outbox
from thermograph.saving import SavingNode
from thermograph.settings_store import FILE

from nor import Nor
from virtual import START, STREAM, Board, Broker, Files, Fixed, Link, Restarted, World, fields


class Bench:
    """World, broker, flash and files, and the Node of the newest start."""

    def __init__(self, script=(4.5,), ready=0, **changes):
        self.world = World()
        self.broker = Broker()
        self.flash = Nor(8)
        self.files = Files({FILE: json.dumps(fields(**changes))})
        self.sensor = Fixed(script=script, ready=ready)
        self.links = []
        self.start()

    def start(self):
        self.board = Board(self.world, self.files)
        self.log = kept.crashes(self.board)
        self.outbox = Outbox(self.flash, lambda size: STREAM, self.sensor.channels)
        kind = SavingNode if self.board.settings.battery else Node
        self.node = kind(
            self.board.settings,
            self.board,
            self.board.clock,
            self.outbox,
            [self.sensor],
            self.link,
            self.board.store,
            self.log,
        )

    def link(self, on_wait, on_message):
        self.links.append(Link(self.world, self.broker, "fridge-1", on_wait, on_message))
        return self.links[-1]

    def run(self, seconds, restarts=True):
        """Step until so much time has passed; how often it started again."""
        end, starts = self.world.now + int(seconds * 1000), 0
        while self.world.now < end:
            try:
                self.node.step()
            except Restarted:
                starts += 1
                assert restarts
                self.start()
            self.world.pass_by(1)
        return starts

    def sent(self):
        """[seconds since START at which..., not known]: seqs of each telemetry message."""
        messages = [json.loads(payload) for leaf, payload in self.broker.heard if leaf == "telemetry"]
        return [(message["seq"], len(message["r"])) for message in messages]

    def ack(self, seq):
        self.broker.send("ack", {"stream": "9f3a1c02", "seq": seq}, retain=True)

    def ack_all(self):
        """Ack each message at once, as a backend does that is awake."""

        def take(leaf, payload):
            self.broker.heard.append((leaf, payload))
            if leaf == "telemetry":
                message = json.loads(payload)
                self.ack(message["seq"] + len(message["r"]) - 1)

        self.broker.on_publish = take


# -- sending


def check_each_reading_is_sent_at_once_by_default():
    bench = Bench(interval=60, state_every=86400)
    bench.ack_all()
    bench.run(330)
    assert bench.sent() == [(seq, 1) for seq in range(1, 7)]
    assert bench.outbox.depth == 0 and bench.broker.connects == 1
    assert not bench.board.said("no"), "an ack that is on its way is not missed"


def check_every_n_readings():
    bench = Bench(interval=60, send={"every": 5})
    bench.ack_all()
    bench.run(60 * 20 + 30)
    assert bench.sent() == [(1, 5), (6, 5), (11, 5), (16, 5)]


def check_within_t_seconds():
    bench = Bench(interval=60, send={"every": 1000, "within": 300})
    bench.ack_all()
    bench.run(60 * 18 + 30)
    assert bench.sent() == [(1, 6), (7, 6), (13, 6)], bench.sent()


def check_a_change_is_sent_at_once_and_small_ones_wait():
    bench = Bench(
        script=(4.0, 4.25, 4.5, 4.25, 6.0, 6.25, 6.0, "absent", 6.0),
        interval=60,
        send={"every": 1000, "within": 86400, "change": 0.5},
    )
    bench.ack_all()
    bench.run(60 * 12)
    assert bench.sent() == [(1, 5), (6, 3), (9, 1)], bench.sent()


def check_sampling_goes_on_without_a_broker_and_all_is_sent_then():
    bench = Bench(interval=10)
    bench.ack_all()
    bench.broker.up = False
    bench.run(3600)
    assert 360 <= bench.outbox.last <= 362 and not bench.sent()
    bench.broker.up = True
    bench.run(120)
    assert bench.outbox.depth <= 1 and sum([count for _, count in bench.sent()]) >= bench.outbox.last - 1
    assert bench.board.said("link") and bench.broker.state()["link"] == "mqtt: the broker is silent"


def check_no_ack_goes_back_and_patience_grows():
    bench = Bench(interval=3600, patience=10)
    bench.run(200)
    assert [seq for seq, _ in bench.sent()] == [1, 1, 1, 1, 1, 1], bench.sent()


def check_a_slow_sensor_and_oversampling_do_not_move_the_grid():
    bench = Bench(script=(4.0, 9.0, 5.0), ready=750, interval=10, oversample=3)
    bench.ack_all()
    bench.run(95)
    kept = list(bench.outbox.peek(1, 99))
    assert [one.reading.t - START for one in kept] == [10000 * n for n in range(10)]
    assert kept[0].reading.value == 5.0


def check_sensors_slower_than_the_interval_miss_slots_and_say_so():
    bench = Bench(ready=2500, interval=1)
    bench.ack_all()
    bench.run(63)
    assert 18 <= bench.outbox.last <= 22 and bench.broker.state()["missed"] > 30


def check_readings_of_an_earlier_boot_without_a_clock_are_dated_before_this_one():
    bench = Bench(interval=60, clock="none", patience=3600)
    bench.broker.up = False
    bench.run(3000)
    bench.world.now += 1000
    bench.start()
    bench.broker.up = True
    bench.run(600)
    found = []
    for message in [json.loads(payload) for leaf, payload in bench.broker.heard if leaf == "telemetry"]:
        ages = [message["now"] - message["t"] - row[0] for row in message["r"]]
        found.append((message["boot"], max(ages) // 60000, min(ages) // 60000))
    assert found[0] == (1, 49, 0), found
    assert all([boot == 2 and oldest == 0 for boot, oldest, _ in found[1:]]), found


# -- battery


def check_on_battery_the_radio_is_on_only_to_send():
    bench = Bench(interval=60, battery=True, send={"every": 10, "within": 86400})
    bench.ack_all()
    bench.run(3600)
    assert bench.broker.connects == 7, "once after the start, and with each tenth reading"
    assert bench.sent() == [(1 + 10 * n, 10) for n in range(6)] and bench.outbox.depth <= 1
    assert not bench.links[-1].connected


def check_on_battery_no_ack_means_later_again():
    bench = Bench(interval=60, battery=True, send={"every": 10, "within": 86400}, patience=5)
    bench.run(3600)
    assert bench.broker.connects > 4 and bench.board.said("radio")
    bench.ack_all()
    bench.run(300)
    assert bench.outbox.depth < 10


def check_rest_and_memory_over_deep_sleep():
    """A wake is a start: what the policy knew goes through memory()."""
    bench = Bench(interval=60, battery=True, send={"every": 1000, "within": 600, "change": 1})
    bench.ack_all()
    memory = None
    for _ in range(61):
        while True:
            bench.node.step()
            spare = bench.node.rest()
            if spare >= 500:
                break
        assert not bench.links[-1].connected
        memory = json.loads(json.dumps(bench.node.memory()))
        assert len(json.dumps(memory)) < 400
        bench.world.now += spare
        bench.start()
        bench.node.restore(memory, spare)
    assert 59 <= bench.outbox.last <= 61
    assert bench.broker.connects == 6, "at the start, and each ten minutes after a reading came"
    assert [count for _, count in bench.sent()] == [11] * 5, bench.sent()


# -- settings and commands from afar


def check_settings_are_applied_without_a_restart_where_they_can_be():
    bench = Bench(interval=60)
    bench.ack_all()
    bench.run(100)
    bench.broker.send("settings", {"revision": 4, "interval": 10, "send": {"every": 3}}, retain=True)
    assert bench.run(65) == 0
    assert bench.broker.state()["settings"] == 4 and "settings_error" not in bench.broker.state()
    assert bench.outbox.last >= 8 and bench.sent()[-1][1] == 3


def check_refused_settings_are_told_and_do_no_harm():
    bench = Bench(interval=60)
    bench.ack_all()
    bench.run(10)
    bench.broker.send("settings", {"revision": 4, "interval": "fast"})
    bench.run(10)
    state = bench.broker.state()
    assert state["settings"] == 0 and state["refused"] == 4 and "interval must be" in state["settings_error"]
    bench.broker.send("settings", b"\xff{[")
    bench.run(10)
    assert bench.broker.state()["settings_error"] == "remote settings are no JSON object"
    bench.broker.send("settings", b"")  # a retained message that is taken back
    bench.run(10)


def check_a_wrong_broker_is_left_after_ten_minutes_and_not_tried_again():
    bench = Bench(interval=60)
    bench.ack_all()
    bench.run(30)
    right, wrong = bench.broker, Broker()
    wrong.up = False

    def link(on_wait, on_message):
        broker = wrong if bench.board.settings.broker.host == "10.6.6.6" else right
        return Link(bench.world, broker, "fridge-1", on_wait, on_message)

    bench.link = link
    right.send("settings", {"revision": 7, "interval": 30, "broker": {"host": "10.6.6.6"}}, retain=True)
    start = bench.world.now
    assert bench.run(60) == 1 and bench.board.settings.broker.host == "10.6.6.6"
    assert bench.run(480) == 0, "it tries for ten minutes"
    last = bench.outbox.last
    assert bench.run(120) == 1 and bench.world.now - start < 700000
    assert bench.outbox.last > last, "and samples all the time"
    assert bench.run(3600) == 0, "the retained message comes again, and is refused"
    state = right.state()
    assert state["settings"] == 0 and state["refused"] == 7
    assert state["settings_error"] == "revision 7 refused: not connected in 600 s"
    right.send("settings", {"revision": 8, "interval": 30}, retain=True)
    bench.run(60)
    assert right.state()["settings"] == 8 and "settings_error" not in right.state()


def check_settings_that_connect_stay():
    bench = Bench(interval=60)
    bench.ack_all()
    bench.run(30)
    bench.broker.send("settings", {"revision": 7, "broker": {"port": 1884}}, retain=True)
    assert bench.run(60) == 1 and not bench.board.store.on_trial
    assert bench.run(3600) == 0 and bench.broker.state()["settings"] == 7


def check_commands():
    bench = Bench(interval=3600, state_every=86400)
    bench.ack_all()
    bench.run(10)
    last = bench.outbox.last
    bench.broker.send("command", {"id": "a", "command": "sample"})
    bench.broker.send("command", {"id": "b", "command": "identify", "seconds": 5})
    bench.broker.send("command", {"id": "a", "command": "sample"})
    bench.broker.send("command", b"do it")
    bench.run(10)
    assert bench.outbox.last == last + 1 and bench.board.identified == [5] and bench.broker.state()["command"] == "b"
    assert len(bench.board.said("ignored:")) == 2
    bench.broker.send("command", {"id": "c", "command": "restart"}, retain=True)
    assert bench.run(100) == 1, "the retained one comes again after the restart, and is not done again"
    assert ("status", b"offline") in bench.broker.heard
