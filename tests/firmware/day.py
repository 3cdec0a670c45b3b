# ruff: noqa: E402, I001 - what is imported is measured, and found where the arguments say
"""`micropython day.py FIRMWARE_FOLDER DEVICE_FOLDER HOURS`: the whole firmware on an ESP32 made of fakes/, for so many
hours on a clock that is moved on whenever nothing is left to do. Prints lines of JSON:
{ms, free, block, seq} each hour, then {modules, portal, left, forgotten}.

With 0 hours it prints what the fakes take of the heap, and ends.
"""

import gc
import json
import sys
import time

sys.path.insert(0, sys.argv[1])
gc.collect()
EMPTY = gc.mem_alloc()
import dht
import esp32
import machine
import network
import onewire
from esp32_bench import board, fresh

MADE = fresh(real=True, hasty=True, file=sys.argv[2] + "/flash.bin")
gc.collect()
FAKES = gc.mem_alloc() - EMPTY
if sys.argv[3] == "0":
    print(json.dumps({"fakes": FAKES, "used": [dht, esp32, machine, network, onewire].count(None)}))
    sys.exit()

from thermograph.start import build
from thermograph.boards.rtc_memory import pack


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


class Ears:
    """The console: which readings are freed, and which lines are no everyday ones."""

    def __init__(self):
        self.sampled = self.freed = 0

    def say(self, text):
        words = text.split()
        if words[1] == "sample":
            self.sampled = int(words[-1])
        elif words[1] == "freed":
            self.freed = int(words[3].rstrip(","))
        else:
            print(text)


def run(path, hours):
    made = MADE
    made.frames[15] = lambda: b"\x02\x8c\x01\x5f\xee"
    made.set_board_us((time.time_ns() // 1000000 - 946684800000) * 1000)  # the time was set before a reset
    made.rtc_memory = pack({"clock": "ntp"})
    ears = Ears()
    one = board(path)
    one.say = ears.say
    node = build(one)
    end, told = hours * 3600000, 0
    while made.ms() < end:
        node.step()
        spare = node.tick()
        if spare > 20 and ears.freed == ears.sampled:
            made.skip(spare - 5)
        if made.ms() >= told:
            told += 3600000
            free = block()
            print(json.dumps({"ms": made.ms(), "free": gc.mem_free(), "block": free, "seq": ears.sampled}))
    modules = sorted([name for name in sys.modules if name.startswith("thermograph")])
    gc.collect()
    before = gc.mem_alloc()
    from thermograph.boards import access_point
    from thermograph.portal import portal

    gc.collect()
    size, left = gc.mem_alloc() - before, gc.mem_free()
    access_point.forget()
    del access_point, portal
    gc.collect()
    forgotten = gc.mem_alloc() - before
    print(json.dumps({"modules": modules, "portal": size, "left": left, "forgotten": forgotten}))
    node.close()


gc.collect()
run(sys.argv[2], int(sys.argv[3]))
