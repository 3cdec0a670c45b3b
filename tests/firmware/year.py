"""A year in the life of a device, on virtual time: `python tests/firmware/year.py --seeds 1000 [--first N] [--days D]`.

`make nightly` runs 1000 of them, `make test` 20.

The real Node, Schedule, Outbox, Clock and Store run against a modelled board, broker and backend; the backend model
reads messages with backend/reading.py and keeps its books with backend/coverage.py. One reading a minute, and by a
plan made from the seed: outages from minutes to weeks, power cuts (within a program or erase, too), clock faults,
a broker that forgets what it has acknowledged, a backend that sleeps or is restored from a backup. At the end all
is well again, and the ledger has to add up: see `Year.judge`. A seed that fails is printed and fails again.
"""

import argparse
import json
import multiprocessing
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent.parent / "firmware"), str(HERE)]

from thermograph import kept  # noqa: E402
from thermograph.node import Node  # noqa: E402
from thermograph.settings_store import FILE  # noqa: E402

from nor import MODES, Random  # noqa: E402
from virtual import START, Board, Broker, Files, PowerGone, Restarted, World, fields  # noqa: E402
from year_parts import Backend, Flash, Link, Thermometer, Truth, Witness  # noqa: E402
from year_plan import DAY, LONG_YEAR, MINUTE, Plan  # noqa: E402
from year_record import Record  # noqa: E402

SECTORS = 56  # 13,500 readings: more than 9 days, less than the two longest outages of a year
FEW_SECTORS = 20  # 4,500 readings: more than 3 days, the same for a short year


class Year:
    def __init__(self, seed, days=365):
        self.seed = seed
        self.plan = Plan(seed, days)
        self.world = World(START)
        self.broker = Broker()
        self.backend = Backend(self.world, self.broker)
        self.broker.on_publish = self.backend.publish
        self.flash = Flash(SECTORS if days >= LONG_YEAR else FEW_SECTORS, seed)
        chance = Random(seed)
        self.thermometer = Thermometer(chance, 0 if seed % 3 else 750)
        self.truth = Truth()
        send = ({}, {"every": 10}, {"every": 60, "within": 1800}, {"every": 30, "change": 40})[seed % 4]
        self.files = Files({FILE: json.dumps(fields(interval=60, send=send, state_every=3600))})
        self.rtc = None  # ms by which the board's clock is wrong; None: not set
        self.lie = 0
        self.down = 0
        self.off_ms = 0
        self.boots = self.cuts = 0

    def run(self):
        """Live through the plan, then until all is told. AssertionError if the promise is broken."""
        self._boot()
        for at, what, how in self.plan.events:
            self._live(at)
            getattr(self, "_" + what)(how)
        self._live(self.plan.end)
        self.broker.up, self.down = True, 0
        self.backend.wake()
        self._sync()
        self._settings(0)
        end = self.world.now + DAY
        while self.backend.coverage.position < self.outbox.last or self.outbox.depth:
            self._step()
            assert self.world.now < end, f"{self.outbox.depth} readings are still waiting after a day"
        self.judge()
        return self

    # -- the device

    def _boot(self):
        self.boots += 1
        board = Board(self.world, self.files, self.rtc, keep_lines=False)
        board.idle = DAY
        self.board = board
        self.outbox = Witness(self.flash, Thermometer.channels, self.truth, self.world)
        log = kept.crashes(board)
        self.node = Node(
            board.settings, board, board.clock, self.outbox, [self.thermometer], self._link, board.store, log
        )
        self._synced = False

    def _link(self, on_wait, on_message):
        return Link(self.world, self.broker, "fridge-1", on_wait, on_message)

    def _live(self, until):
        """The device runs until then; a step may run over."""
        while self.world.now < until:
            self._step()

    def _step(self):
        try:
            self.node.step()
        except Restarted:
            self._boot()
        except PowerGone:
            self._power_on_again()
            return
        if not self._synced and self.broker.up:
            self._sync()

    def _sync(self):
        """SNTP answers as soon as there is a network."""
        self._synced = True
        self.rtc = self.board.time.off = self.lie
        clock = self.board.clock
        clock.set(self.world.now + self.lie, clock.uptime(), 20)

    def _power_on_again(self):
        while True:
            off, forgets = self._dark
            self.off_ms += off
            self.world.cut_at = self.flash.fuse = None
            self.world.now += off
            if forgets:
                self.rtc = None
            try:
                return self._boot()
            except PowerGone:  # in the mount's mending
                self._dark = (1000, False)

    # -- what happens

    def _cut(self, how):
        """The power goes: between two steps of the flash, or within one of the next."""
        in_flash, off, forgets = how
        self.cuts += 1
        self._dark = (off, forgets)
        if in_flash:
            self.flash.mode = MODES[off % len(MODES)]
            self.flash.fuse = off % 5 if off % 3 else 0
            self._live(self.world.now + 10 * MINUTE)
            self.flash.fuse = None
        else:
            self.world.cut_at = self.world.now + off % MINUTE
            self._live(self.world.now + MINUTE)
            assert self.world.cut_at is None

    def _down(self, how):
        self.down += 1
        self.broker.up = False

    def _up(self, how):
        self.down -= 1
        self.broker.up = self.down == 0

    def _lie(self, off):
        """The time server is wrong by this from now on."""
        self.lie = off
        if self.broker.up:
            self._sync()
        else:
            self._synced = False

    def _sleep(self, how):
        self.backend.asleep = True

    def _amnesia(self, how):
        """The broker is killed: its queue and its retained messages are gone."""
        self.backend.queue.clear()
        self.broker.retained.clear()

    def _wake(self, how):
        self.backend.wake()

    def _backup(self, how):
        self.backend.back_up()

    def _restore(self, how):
        self.backend.restore()

    def _settings(self, number):
        """Another send policy from afar."""
        send = {"every": (1, 12, 20, 45)[number], "within": 1200}
        self.broker.send("settings", {"revision": self.board.settings.revision + 1, "send": send}, retain=True)

    # -- the judgement

    def judge(self):
        """Each seq is stored once with the value that was sampled, or lies in a gap whose cause is the true one."""
        last, truth, backend = self.outbox.last, self.truth, self.backend
        coverage = backend.coverage
        assert coverage.position == last and coverage.runs[0].first == 1
        self.gaps = {}
        stored = 0
        for run in coverage.runs:
            if run.cause is None:
                stored += run.last - run.first + 1
                self._judge_stored(run)
            else:
                self.gaps[run.cause] = self.gaps.get(run.cause, 0) + run.last - run.first + 1
                self._judge_gap(run)
        assert stored + sum(self.gaps.values()) == last, "the ledger does not add up"
        assert stored == sum(backend.stored)
        self.fills = self._spells_of_full_flash(coverage)
        self.stored, self.sampled = stored, sum(truth.kept)
        wanted = (self.world.now - START - self.off_ms) / MINUTE
        assert abs(self.sampled - wanted) <= 2 * (self.boots + self.plan.faults), (self.sampled, wanted, self.boots)

    def _judge_stored(self, run):
        truth, backend = self.truth, self.backend
        seqs = slice(run.first, run.last + 1)
        assert all(backend.stored[seqs]), f"the ledger has more of {run} than was stored"
        stored, sampled = backend.value[seqs], truth.value[seqs]
        if stored.tobytes() != sampled.tobytes():
            pairs = enumerate(zip(stored, sampled, strict=True), run.first)
            wrong = [seq for seq, (a, b) in pairs if a != b and (a == a or b == b)]
            raise AssertionError(f"another value is stored for {wrong[:5]}")
        for seq, told in enumerate(truth.told[seqs], run.first):
            assert told == -1 or backend.time[seq] == told, f"seq {seq} has another time"
            assert backend.estimated[seq] == (told == -1), f"seq {seq} is estimated and was not, or was and is not"

    def _judge_gap(self, run):
        lost = [seq for seq in range(run.first, run.last + 1) if seq < len(self.truth.kept) and self.truth.kept[seq]]
        if run.cause == "power-cut":
            assert not lost, f"kept readings {lost[:3]} are said to have fallen to a power cut"
            assert run.last - run.first < 5
        else:
            assert run.cause in ("flash-full", "backend-lost"), run

    def _spells_of_full_flash(self, coverage):
        """How often the flash ran over: flash-full gaps that lie far apart."""
        firsts = [run.first for run in coverage.runs if run.cause == "flash-full"]
        return sum(1 for a, b in zip([-DAY, *firsts], firsts) if b - a > 20000)

    def line(self):
        gaps = ", ".join(f"{cause} {count}" for cause, count in sorted(self.gaps.items())) or "none"
        return (
            f"seed {self.seed}: {self.sampled} sampled, {self.stored} stored, gaps: {gaps}; {self.boots} boots, "
            f"{self.cuts} cuts, {sum(self.backend.estimated)} estimated"
        )


def one(task):
    """(seed, CPU seconds, its line or the error's text, whether it kept the promise); task: (seed, days)."""
    seed, days = task
    start = time.process_time()
    try:
        line, good = Year(seed, days).run().line(), True
    except Exception as error:
        line, good = f"seed {seed} FAILS: {type(error).__name__}: {error}", False
    return seed, time.process_time() - start, line, good


def many(seeds, days=365, processes=None, show=print, on_kept=None):
    """Run them; the seeds that failed. show takes a line of each, on_kept the seed of each that did not fail."""
    failed = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for number, done in enumerate(pool.imap_unordered(one, [(seed, days) for seed in seeds]), 1):
            seed, seconds, line, good = done
            if not good:
                failed.append(seed)
            elif on_kept is not None:
                on_kept(seed)
            show(f"[{number} of {len(seeds)}, {len(failed)} failed] {line}; {seconds:.0f} s of CPU")
    return failed


def main(words=None):
    parser = argparse.ArgumentParser(description="Years in the life of a device. Exit code 1 if one fails.")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--days", type=int, default=365, help="length of a year")
    parser.add_argument("--processes", type=int, default=None, help="default: one a core")
    parser.add_argument("--record", type=pathlib.Path, help="a file to go on from if this run is cut off")
    given = parser.parse_args(words)
    start = time.monotonic()
    record = Record(given.record, given.days)
    wanted = range(given.first, given.first + given.seeds)
    seeds = [seed for seed in wanted if seed not in record.kept]
    if len(seeds) < len(wanted):
        print(f"{len(wanted) - len(seeds)} of {len(wanted)} years were lived before, says {given.record}")
    failed = many(seeds, given.days, given.processes, lambda line: print(line, flush=True), record.add)
    print(f"{len(wanted) - len(failed)} of {len(wanted)} years kept the promise, in {time.monotonic() - start:.0f} s")
    for seed in failed:
        print(f"again: python tests/firmware/year.py --seeds 1 --first {seed} --days {given.days}")
    if failed:
        return 1
    record.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
