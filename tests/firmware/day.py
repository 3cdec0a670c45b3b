# ruff: noqa: E402, I001 - what the fakes hold is measured before the firmware comes
"""`micropython run.py DEVICE_FOLDER HOURS`: the whole firmware on an ESP32 made of fakes/, for so many hours on a clock
that is moved on whenever nothing is left to do. Prints lines of JSON: {ms, free, block, seq} each hour, then the same
with the modules that are loaded.

With 0 hours it prints what the fakes and all names take of the heap, and ends.
"""

import gc
import json
import sys

import bare
import dht
import esp32
import machine
import network
import onewire
from esp32_bench import board, fresh
from life import Dark, Ears, Life

FOLDER, HOURS = sys.argv[1], int(sys.argv[2])
USED = dht, esp32, machine, network, onewire


def block():
    """Largest piece that can be had."""
    gc.collect()
    low, high = 0, gc.mem_free()
    while high - low > 256:
        middle = (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
    return low


def lived():
    for hour in range(HOURS):
        LIFE.until(lambda hour=hour: MADE.ms() >= hour * 3600000)
        largest = block()
        print(json.dumps({"ms": MADE.ms(), "free": gc.mem_free(), "block": largest, "seq": EARS.sampled}))
    LIFE.until(lambda: MADE.ms() >= HOURS * 3600000 and EARS.sampled > 0)
    LIFE.settle()
    LIFE.until(lambda: "thermograph.sntp" not in sys.modules, 5000)  # it may be the hour at which the time is asked for
    modules = sorted([name for name in sys.modules if name.startswith("thermograph")])
    print(json.dumps({"modules": modules, "free": gc.mem_free(), "block": block(), "seq": EARS.sampled}))
    LIFE.node.close()
    raise KeyboardInterrupt


MADE = fresh(real=True, hasty=True, file=FOLDER + "/flash.bin")
MADE.led = Dark()
MADE.frames[15] = lambda: b"\x02\x8c\x01\x5f\xee"
EARS = Ears()
LIFE = Life(MADE, EARS, FOLDER)
gc.collect()
if HOURS == 0:
    print(json.dumps({"held": gc.mem_alloc() - bare.ALONE}))
    sys.exit()
import main
import packfs

USED = main, packfs, USED
LIFE.live(board(FOLDER), lived)
