"""`micropython run_esp32.py FIRMWARE_FOLDER DEVICE_FOLDER [OPTIONS]`: the whole firmware on an ESP32 made of fakes/, in
real time, until it is killed. OPTIONS: a JSON object of chip.Chip's options, and of what is around it: air, pressed."""

import json
import sys

sys.path.insert(0, sys.argv[1])
from esp32_bench import fresh, run

if sys.implementation.name != "micropython":
    from thermograph.boards import cpython

    cpython.install()
options = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
pressed = options.pop("pressed", None)
air = options.pop("air", None)
ports = options.pop("ports", None)
if ports:
    from thermograph.boards.esp32 import Esp32

    Esp32.ports = ports
made = fresh(real=True, file=sys.argv[2] + "/flash.bin", **options)
if pressed:
    made.pressed[0] = pressed
if air is not None:
    made.air = [(ssid.encode(), password, dbm) for ssid, password, dbm in air]
run(made, sys.argv[2])
