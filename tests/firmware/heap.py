# ruff: noqa: E402, I001 - what is imported after the measuring began is measured
"""`micropython run.py DEVICE_FOLDER WEB_PORT NAMES_PORT HOURS READINGS [project]`: the whole firmware on an ESP32 made
of fakes/, driven through what a board meets, while its heap is watched. heap_rig.py starts it, heap_bench.py is the
world.
project: it is one on wokwi.com, which unpacks the firmware, has no partition for the Outbox, and nobody at its portal.

Prints lines of JSON: {"ask": what the world is to do}; at the end the figures, in bytes that the firmware holds besides
names: {"live", "highest", ...}, and which modules were loaded.
"""

import binascii
import gc
import json
import sys

import dht
import esp32
import machine
import network
import onewire
from esp32_bench import PROBE, Uptime, board, fresh
from life import Dark, Ears, Life
from sensor_buses import I2C, Bosch, Thermometer, Wire, rom_of

FOLDER = sys.argv[1]
PORTS = int(sys.argv[2]), int(sys.argv[3])
HOURS, READINGS = int(sys.argv[4]), int(sys.argv[5])
PROJECT = "project" in sys.argv[6:]
# A BME280's trim, as it is read out, and 24.8 degrees, 100633 Pa, 52.75 %RH: short, so that many go into a message.
TRIM = {
    0x88: b"pkCg\x18\xfc}\x8eC\xd6\xd0\x0b'\x0b\x8c\x00\xf9\xff\x8c<\xf8\xc6p\x17",
    0xA1: b"K",
    0xE1: b"j\x01\x00\x13)\x03\x1e'",
}
RAW = b"eR\x90~\xb5\x80s\x9d"


class Watch:
    """base: bytes that are not the firmware's. highest: by phase. loaded: name of a module: whether it ever was."""

    def __init__(self, modules):
        self.base = 0
        self.phase = "start"
        phases = ("unpacking", "start", "settings", "commands", "backlog", "day", "portal")
        self.highest = {name: 0 for name in phases}
        self.loaded = {name: False for name in modules}

    def held(self):
        gc.collect()
        return gc.mem_alloc() - self.base

    def look(self):
        held = self.held()
        if held > self.highest[self.phase]:
            self.highest[self.phase] = held

    def note(self):
        for name in self.loaded:
            if name in sys.modules:
                self.loaded[name] = True

    def ever(self):
        self.note()
        return [name for name in self.loaded if self.loaded[name]]


def begin(phase):
    WATCH.phase = phase
    LIFE.ask(phase)


def day():
    """To the end of the day, and of the readings."""
    begin("day")
    end = HOURS * 3600000
    LIFE.until(lambda: MADE.ms() >= end and EARS.sampled >= READINGS, 120000)
    LIFE.until(lambda: not LIFE.busy())
    return {"live_day": WATCH.held(), "hours": MADE.ms() // 3600000, "readings": EARS.sampled}


def portal(one):
    """It opens beside a Node that goes on sampling; a person fills in its form."""
    begin("portal")

    def on_wait():
        WATCH.note()
        WATCH.look()
        return LIFE.node.tick()

    if not one.setup(on_wait):
        raise RuntimeError("the form was not saved")


def lived():
    LIFE.until(lambda: EARS.freed > 0)
    WATCH.look()
    figures = {"live": WATCH.held(), "modules": sorted([name for name in sys.modules if name in WATCH.loaded])}
    begin("settings")
    LIFE.until(lambda: EARS.settings == 2)
    LIFE.every = 60
    begin("commands")
    LIFE.until(lambda: EARS.commands == 2)
    begin("backlog")
    until = EARS.sampled + 600
    LIFE.until(lambda: EARS.sampled >= until)
    LIFE.ask("broker")
    LIFE.until(lambda: EARS.freed >= until)
    if HOURS:
        figures.update(day())
    figures["seen"] = WATCH.ever()
    if not PROJECT:
        portal(ONE)
    figures["seen_portal"] = WATCH.ever()
    figures["highest"] = WATCH.highest
    LIFE.node.close()
    print(json.dumps(figures))
    raise KeyboardInterrupt


def let_go(*names):
    """What is let go was there; what stays is seen at the end."""
    WATCH.note()
    LET_GO(*names)


class Looking:
    """binascii for the project's main.py: each line that it decodes is a moment to look."""

    def a2b_base64(self, line):
        WATCH.look()
        return binascii.a2b_base64(line)


def unpack_project():
    """What runs before the firmware of a project, and defines its start()."""
    WATCH.phase = "unpacking"
    main.binascii = Looking()
    main.unpack()
    main.binascii = binascii
    WATCH.phase = "start"
    execfile("start.py", main.__dict__)  # noqa: F821  MicroPython's
    sweep(100)


def sweep(depth):
    """Overwrite the stack: the collector takes leftovers there for references, and by chance keeps 2 kB for them."""
    return sweep(depth - 1) if depth else gc.collect()


def wired():
    """The chip: two DS18B20 and a BME280, or what diagram.json has."""
    if PROJECT:
        made = fresh(real=True, hasty=True, sectors=0)
        made.air = [(b"Wokwi-GUEST", "", -50)]
        made.wires[4] = Wire(Thermometer(Uptime(), rom_of("28a1a1a1a1a1a1"), 0x0190))
        made.frames[15] = lambda: b"\x01\xc2\x00\xd7\x9a"  # 45.0 %RH, 21.5 degrees
    else:
        made = fresh(real=True, hasty=True, file=FOLDER + "/flash.bin")
        made.wires[4] = Wire(*[Thermometer(Uptime(), rom_of(id), 0x0190) for id in (PROBE, "28ff641e8216c4")])
        made.i2c = I2C({0x76: Bosch(Uptime(), 0x60, TRIM, RAW)})
    made.led = Dark()
    return made


with open(FOLDER + "/modules.json") as file:
    WATCH = Watch(json.load(file))
MADE = wired()
EARS = Ears()
LIFE = Life(MADE, EARS, FOLDER, WATCH.look)
USED = binascii, dht, esp32, machine, network, onewire
ONE = LET_GO = None
gc.collect()
WATCH.base = gc.mem_alloc()

import main

if PROJECT:
    unpack_project()
import packfs

USED = main, packfs, USED
from thermograph import moment

LET_GO, moment.let_go = moment.let_go, let_go
ONE = board(FOLDER)
ONE.ports = PORTS
LIFE.live(ONE, lived)
