"""A Node that must never be stuck: watchdog, no link, drivers and starts that crash, safe mode.

On CPython and on MicroPython. The far side is virtual.Broker; `main` is firmware/main.py itself.
"""

import json
import sys

import main
from thermograph.crashlog import CrashLog
from thermograph.settings_store import REMOTE

from checks_node import Bench
from virtual import START, STREAM, Board, Crash, Restarted


def check_the_watchdog_is_fed_only_while_samples_come():
    bench = Bench(interval=60)
    bench.run(300)
    assert bench.world.now - bench.board.fed < 61000
    bench.sensor.ready = 1 << 40  # a driver that is never ready
    bench.broker.up = False
    bench.run(600)
    assert bench.world.now - bench.board.fed > 400000
    bench = Bench(interval=86400)
    bench.run(7200)
    assert bench.world.now - bench.board.fed < 61000 + 10000


def check_a_link_that_never_comes_ends_in_a_restart():
    bench = Bench(interval=60, restart_after=7200)
    bench.broker.up = False
    assert bench.run(7000) == 0 and bench.run(400) == 1
    assert bench.outbox.last >= 122


def check_safe_mode_on_a_battery_stays_awake():
    bench = Whole(interval=60, battery=True)
    bench.files.write("crashes.json", '{"in_a_row": 5, "entries": []}')
    bench.board.slept = lambda: 0
    starts, code = bench.live(600)
    assert (starts, code) == (0, 0) and CrashLog(bench.files, bench.board.clock).in_a_row == 5


def check_a_network_that_comes_back_ends_the_back_off():
    for fresh in (False, True):
        bench = Bench(interval=600)
        bench.broker.up = False
        bench.run(1200)
        while bench.node._retry_at - bench.board.clock.uptime() < 20000:
            bench.run(1)
        bench.broker.up = True
        bench.links[-1].fresh = fresh
        bench.run(2)
        assert bench.links[-1].connected is fresh


def check_a_broken_driver_is_a_fault_and_is_in_the_crash_log():
    bench = Bench(script=(Crash("wire"),), interval=60)
    bench.ack_all()
    bench.run(600)
    assert all([kept.reading.fault == "error" for kept in bench.outbox.peek(1, 99)])
    assert (
        bench.broker.state()["crash"].startswith("Crash: wire (")
        and len(CrashLog(bench.files, bench.board.clock).entries) == 1
    )


class FarSide:
    """In the place of thermograph/link.py: its Link is the bench's. link(on_wait, on_message) makes it."""

    def __init__(self, link):
        self.Link = lambda network, clock, broker, device, on_wait, on_message, timeout: link(on_wait, on_message)


class Whole(Bench):
    """main.start on a virtual board. sensors: what the board gives, or raises."""

    sensors = None

    def start(self):
        bench = self

        class Computer(Board):
            network = None

            @property
            def sensors(self):
                if isinstance(bench.sensors, Exception):
                    raise bench.sensors
                return [bench.sensor]

        self.board = Computer(self.world, self.files)
        self.board.flash = self.flash
        self.board.entropy = lambda size: STREAM
        self.board.watch = self.watch

    until = 0

    def watch(self):
        if self.world.now >= self.until:
            raise KeyboardInterrupt

    def live(self, seconds):
        """Starts and starts again; how often, and the exit code."""
        self.until = self.world.now + seconds * 1000
        starts = 0
        true = sys.modules.get("thermograph.link")
        sys.modules["thermograph.link"] = FarSide(self.link)
        try:
            while True:
                try:
                    return starts, main.start(self.board)
                except Restarted:
                    starts += 1
                    self.start()
        finally:
            del sys.modules["thermograph.link"]
            if true:
                sys.modules["thermograph.link"] = true


def check_five_crashes_in_a_row_are_safe_mode_which_settings_end():
    bench = Whole(interval=60)
    bench.sensors = Crash("no bus")
    starts, code = bench.live(600)
    assert starts == 5 and code == 0 and bench.sensor.starts == 0
    state = bench.broker.state()
    assert state["safe"] is True and state["crash"].startswith("Crash: no bus (") and state["crashes"] == 5
    assert state["crash_t"] > START and state["stream"] == "9f3a1c02"
    bench.sensors = None
    bench.broker.send("settings", {"revision": 2, "interval": 30}, retain=True)
    starts, code = bench.live(600)
    assert starts == 1 and "safe" not in bench.broker.state() and bench.broker.state()["seq"] >= 18


def check_safe_mode_ends_by_a_command_or_by_quiet():
    bench = Whole(interval=60)
    bench.sensors = Crash("no bus")
    bench.live(600)
    bench.broker.send("command", {"id": "x", "command": "restart"}, retain=True)
    starts, _ = bench.live(300)
    assert starts == 6, "the command, and five crashes again"
    starts, _ = bench.live(6 * 3600 + 60)
    assert starts == 2, "quiet for six hours, and one crash is enough then"
    bench.sensors = None
    bench.live(6 * 3600 + 60)
    assert "safe" not in bench.broker.state()
    assert bench.board.health()["reset"] == "power-on" and CrashLog(bench.files, bench.board.clock).in_a_row == 4


def check_ten_quiet_minutes_end_a_row():
    bench = Whole(interval=60)
    CrashLog(bench.files, bench.board.clock).crash("old")
    bench.live(650)
    assert CrashLog(bench.files, bench.board.clock).in_a_row == 0


def check_safe_mode_without_an_outbox_still_talks():
    bench = Whole(interval=60)
    bench.flash.size = 4096
    bench.live(600)
    state = bench.broker.state()
    assert state["safe"] and "an outbox needs" in state["crash"] and "stream" not in state


def check_sensors_that_the_board_has_not_roll_settings_back():
    from thermograph.errors import SettingsError

    bench = Whole(interval=60)
    assert bench.live(60) == (0, 0)
    bench.broker.send("settings", {"revision": 2, "sensors": [{"kind": "sundial", "id": "a"}]}, retain=True)
    bench.sensors = None
    original = bench.start

    def start():
        original()
        wanted = bench.board.settings.sensors[0]["kind"]
        bench.sensors = SettingsError("sensors: no chip is called sundial") if wanted == "sundial" else None

    bench.start = start
    starts, code = bench.live(300)
    assert starts == 2 and code == 0
    assert bench.broker.state()["settings_error"] == "revision 2 refused: sensors: no chip is called sundial"
    assert json.loads(bench.files.texts[REMOTE])["refused"] == 2


def check_a_watchdog_reset_counts_as_a_crash():
    bench = Whole(interval=60)
    bench.board.reset = "watchdog"
    bench.live(30)
    log = CrashLog(bench.files, bench.board.clock)
    assert log.in_a_row == 1 and log.newest["text"] == "the watchdog ended it"
