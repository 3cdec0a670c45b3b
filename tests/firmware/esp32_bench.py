# ruff: noqa: E402, I001 - the fakes are found first
"""An ESP32 board over fakes/, in a folder that is its file system; for CPython and MicroPython."""

import json
import os
import sys

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
if HERE + "/fakes" not in sys.path:
    sys.path.insert(0, HERE + "/fakes")

import chip
import idf as model  # noqa: F401 - of fakes/, for checks_memory
from sensor_buses import Thermometer, Wire, rom_of

PROBE = "28ff641e8216c3"


class Uptime:
    """The clock of the chips on the wires: their time is the world's."""

    @property
    def now(self):
        return chip.now.ms()


def folder(name):
    """A fresh folder."""
    base = os.getenv("TMPDIR") if hasattr(os, "getenv") else None
    path = "%s/thermograph-%s-%s" % (base or "/tmp", name, "".join(["%02x" % byte for byte in os.urandom(6)]))  # noqa: S108
    os.mkdir(path)
    return path


def remove(path):
    for name in os.listdir(path):
        if os.stat(path + "/" + name)[0] & 0x4000:
            remove(path + "/" + name)
        else:
            os.remove(path + "/" + name)
    os.rmdir(path)


def settle(path, **changes):
    """Write settings.json."""
    fields = {
        "device": "fridge-1",
        "broker": {"host": "127.0.0.1", "user": "fridge", "password": "cold-secret"},
        "networks": [{"ssid": "Home", "password": "goat cheese"}],
        "interval": 60,
    }
    fields.update(changes)
    with open(path + "/settings.json", "w") as file:
        file.write(json.dumps(fields))


def fresh(**options):
    """A chip in use, with one thermometer on the wire and a network in the air."""
    made = chip.use(chip.Chip(**options))
    made.wires[4] = Wire(Thermometer(Uptime(), rom_of(PROBE)))
    made.air = [(b"Home", "goat cheese", -61), (b"Caf\xc3\xa9 <b>&\"'", "", -80), (b"\xff\xfe", "x", -50)]
    return made


def put_memory_on(idf):
    """The firmware's view of its memory is that of this chip: gc, threads, what fills a heap."""
    from thermograph.boards import memory, memory_start

    memory.gc = idf.heap
    memory.thread = idf.threads
    memory.time = chip.Time()
    memory_start.bytearray = idf.heap.fill
    idf.heap.roots = lambda: [memory.pinned]
    return memory_start


def board(path):
    put_memory_on(chip.now.idf).size_heap()
    from thermograph.boards.esp32 import Esp32

    return Esp32(path, chip.Time())


def run(made, path, limit_ms=None):
    """main.start() over and over: a reset, a deep sleep and what a test raises end a turn. limit_ms: of true time."""
    import main

    while limit_ms is None or made.ms() < limit_ms:
        try:
            return main.start(board(path))
        except chip.DeepSleep as sleep:
            made.wake(sleep.args[0])
        except chip.Reset as reset:
            made.reset(chip.WDT if reset.args[0] == "watchdog" else chip.HARD)
