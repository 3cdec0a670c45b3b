# ruff: noqa: E402, I001 - what the fakes hold is measured before the firmware comes
"""`micropython run.py DEVICE_FOLDER`: a boot of the whole firmware on an ESP32 made of fakes/, in a week of outages. It
ends with the week, or with a power cut: then the next boot goes on where this one was.

DEVICE_FOLDER/plan.json: [[hour, event], ...]. `down`, `up`: of the broker, which the world does; `air`, `no air`: the
Wi-Fi's; `cut`: the power goes within one of the next programs of the flash; `end`. Prints {"boot"} when it begins,
{"ask"}, the console's lines, and {"cut"} or {"end"} with the newest seq.
"""

import gc
import json
import os
import sys

import bare
import chip
import dht
import esp32
import machine
import network
import onewire
from esp32_bench import board, fresh
from life import Dark, Ears, Life

FOLDER = sys.argv[1]
USED = dht, esp32, machine, network, onewire


class Listener(Ears):
    """It repeats what was sampled, too."""

    def say(self, text):
        Ears.say(self, text)
        if text.split()[1] == "sample":
            print(text)


def lived():
    for hour, event in PLAN:
        if hour < FROM:
            continue
        LIFE.until(lambda hour=hour: MADE.ms() >= hour * 3600000, 25000)
        if event in ("down", "up"):
            LIFE.ask(event)
        elif event == "cut":
            MADE.fuse = MADE.steps % 4
        elif event == "end":
            LIFE.settle()
        else:
            MADE.air = [] if event == "no air" else AIR
    LIFE.node.close()
    raise KeyboardInterrupt


with open(FOLDER + "/plan.json") as file:
    PLAN = json.load(file)
MADE = fresh(real=True, hasty=True, file=FOLDER + "/flash.bin")
try:
    with open(FOLDER + "/skipped") as file:
        MADE.passed = int(file.read()) * 1000
except OSError:
    pass
MADE.power_on()
MADE.led = Dark()
MADE.frames[15] = lambda: b"\x02\x8c\x01\x5f\xee"
AIR = MADE.air
FROM = MADE.ms() / 3600000
EARS = Listener()
LIFE = Life(MADE, EARS, FOLDER)
gc.collect()
if PLAN == []:
    print(json.dumps({"held": gc.mem_alloc() - bare.ALONE}))
    sys.exit()
for hour, event in PLAN:
    if hour < FROM and event.endswith("air"):
        MADE.air = AIR if event == "air" else []
import main
import packfs

USED = main, packfs, os, USED
print(json.dumps({"boot": MADE.ms()}))
try:
    LIFE.live(board(FOLDER), lived)
    print(json.dumps({"end": EARS.sampled}))
except chip.PowerCut:
    LIFE.tell()
    print(json.dumps({"cut": EARS.sampled}))
except chip.Reset as reset:
    LIFE.tell()
    print(json.dumps({"reset": str(reset)}))
