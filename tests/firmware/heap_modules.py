"""`micropython run.py DEVICE_FOLDER`: what each module named in DEVICE_FOLDER/modules.json costs, imported one after
the other. Prints [module, bytes] a line; [module, null] for one that does not load on an ESP32."""

import gc
import json
import sys

import dht
import esp32
import machine
import network
import onewire

from esp32_bench import fresh

USED = dht, esp32, machine, network, onewire
MADE = fresh(real=True, hasty=True, file=sys.argv[1] + "/flash.bin")


def cost(name):
    gc.collect()
    before = gc.mem_alloc()
    try:
        __import__(name)
    except ImportError:
        return None
    gc.collect()
    return gc.mem_alloc() - before


with open(sys.argv[1] + "/modules.json") as file:
    NAMES = json.load(file)
COSTS = [0] * len(NAMES)
cost("sys")
for index in range(len(NAMES)):
    COSTS[index] = cost(NAMES[index])
for index in range(len(NAMES)):
    print(json.dumps([NAMES[index], COSTS[index]]))
