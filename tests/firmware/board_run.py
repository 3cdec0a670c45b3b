# ruff: noqa: E402, I001 - what the fakes hold is measured before the firmware comes
"""`micropython run.py DEVICE_FOLDER OPTIONS`: the whole firmware as a board has it, on an ESP32 made of fakes/, in real
time, until it is killed. OPTIONS as those of run_esp32.py, or `held`: then it prints what the fakes and all names take
of the heap, and ends."""

import gc
import json
import sys

import bare
import dht
import esp32
import machine
import network
import onewire
from esp32_bench import Uptime, fresh, run
from sensor_buses import I2C, Bosch

USED = dht, esp32, machine, network, onewire
TRIM = {
    0x88: b"pkCg\x18\xfc}\x8eC\xd6\xd0\x0b'\x0b\x8c\x00\xf9\xff\x8c<\xf8\xc6p\x17",
    0xA1: b"K",
    0xE1: b"j\x01\x00\x13)\x03\x1e'",
}
options = {} if sys.argv[2] == "held" else json.loads(sys.argv[2])
air, ports, pressed = options.pop("air", None), options.pop("ports", None), options.pop("pressed", None)
quick = options.pop("quick", False)  # a BME280 on the bus: it is read four times a second
made = fresh(real=True, file=sys.argv[1] + "/flash.bin", **options)
if quick or sys.argv[2] == "held":
    made.i2c = I2C({0x76: Bosch(Uptime(), 0x60, TRIM, b"eR\x90~\xb5\x80s\x9d")})
if air is not None:
    made.air = [(ssid.encode(), password, dbm) for ssid, password, dbm in air]
if pressed:
    made.pressed[0] = pressed
gc.collect()
if sys.argv[2] == "held":
    print(json.dumps({"held": gc.mem_alloc() - bare.ALONE}))
    sys.exit()
import main
import packfs

USED = main, packfs, USED
if ports:
    from thermograph.boards.esp32 import Esp32

    Esp32.ports = ports
run(made, sys.argv[1])
