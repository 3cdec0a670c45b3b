"""`micropython run.py DEVICE_FOLDER WEB_PORT NAMES_PORT HOURS READINGS`: the whole firmware on an ESP32 made of fakes/,
driven through what a board meets, while its heap is watched. heap_rig.py starts it, heap_bench.py plays the world.

Prints lines of JSON: {"ask": what the world is to do} and waits until a file `done` is there; at the end the figures,
in bytes that the firmware holds besides names: {"live", "highest", ...}, and which modules were loaded.
"""

import gc
import json
import os
import sys
import time

import dht
import esp32
import machine
import network
import onewire

from esp32_bench import PROBE, Uptime, board, fresh
from sensor_buses import I2C, Bosch, Thermometer, Wire, rom_of

FOLDER = sys.argv[1]
PORTS = int(sys.argv[2]), int(sys.argv[3])
HOURS, READINGS = int(sys.argv[4]), int(sys.argv[5])
# A BME280's trim, as it is read out, and 25.08 degrees, 100653 Pa, 41 %RH.
TRIM = {
    0x88: b"pkCg\x18\xfc}\x8eC\xd6\xd0\x0b'\x0b\x8c\x00\xf9\xff\x8c<\xf8\xc6p\x17",
    0xA1: b"K",
    0xE1: b"j\x01\x00\x13)\x03\x1e'",
}
RAW = b"eZ\xc0~\xed\x00qH'"


class Watch:
    """base: bytes that are not the firmware's. highest: by phase."""

    def __init__(self, loaded):
        self.base = 0
        self.phase = "start"
        self.highest = {name: 0 for name in ("start", "settings", "commands", "backlog", "day", "portal")}
        self.loaded = loaded  # name of a module: whether it ever was

    def held(self):
        gc.collect()
        return gc.mem_alloc() - self.base

    def note(self):
        for name in self.loaded:
            if name in sys.modules:
                self.loaded[name] = True

    def look(self):
        held = self.held()
        if held > self.highest[self.phase]:
            self.highest[self.phase] = held


class Ears:
    """The console: what was sampled, freed and done, and the lines that are no everyday ones."""

    def __init__(self):
        self.sampled = self.freed = self.settings = self.commands = 0

    def say(self, text):
        words = text.split()
        word = words[1]
        if word == "sample":
            self.sampled = int(words[-1])
        elif word == "freed":
            self.freed = int(words[3].rstrip(","))
        elif word == "settings" and words[2][:-1].isdigit():
            self.settings = int(words[2][:-1])
        elif word == "command":
            self.commands += 1
        else:
            print(text)


class Dark:
    """Of the LED's changes nothing is kept."""

    def append(self, change):
        pass


def ask(what):
    print(json.dumps({"ask": what}))
    while True:
        try:
            os.remove(FOLDER + "/done")
            return
        except OSError:
            time.sleep(0.002)


def let_go(*names):
    """What is let go was there; what stays is seen at the end."""
    WATCH.note()
    LET_GO(*names)


def udp(self, ip, port):
    """A real socket; while one is open no time is skipped, and the time server is told what was."""
    with open(FOLDER + "/skipped", "w") as file:
        file.write(str(MADE.passed // 1000))
    made = UDP(self, ip, port)
    ASKED.pop(0)
    ASKED.append((made.fileno(), inode(made.fileno())))
    return made


def inode(number):
    """Of an open socket, or None: a closed one keeps its number."""
    try:
        return os.stat("/proc/self/fd/%d" % number)[1]
    except OSError:
        return None


def set_callback(self, on_message):
    """umqtt's: private names are not what they are in the sources."""
    global LINK
    LINK = self

    def looked_at(topic, payload):
        on_message(topic, payload)
        WATCH.look()

    self.cb = looked_at


class World:
    """What is done with a Node. every: readings that its send policy wants in a message."""

    def __init__(self, node):
        self._node = node
        self._board = BOARD
        self.every = 1

    def busy(self):
        """Whether somebody is asked and has not answered: such waits take true time."""
        if any([mark is not None and inode(number) == mark for number, mark in ASKED]):
            return True
        packets = LINK.sock
        if packets is None:
            return False
        return packets.said > packets.heard or EARS.sampled - EARS.freed >= self.every

    def turn(self):
        """A step of the loop; then time is skipped to what is due next."""
        node = self._node
        node.step()
        WATCH.look()
        for _ in range(4):
            spare = node.tick()
            if self.busy():
                return
            if spare > 1:
                MADE.skip(spare)

    def until(self, condition, ms=120000):
        """ms: of true time."""
        end = time.ticks_add(time.ticks_ms(), ms)
        while not condition():
            self.turn()
            if time.ticks_diff(end, time.ticks_ms()) < 0:  # an assert is not compiled
                raise RuntimeError("%s does not end: %d sampled, %d freed" % (WATCH.phase, EARS.sampled, EARS.freed))

    def begin(self, phase):
        WATCH.phase = phase
        ask(phase)

    def live(self):
        """All acknowledged but what waits for its message."""
        self.until(lambda: not self.busy())
        return WATCH.held()

    def day(self):
        """To the end of the day, and of the readings."""
        self.every = 60
        self.begin("day")
        end = HOURS * 3600000
        self.until(lambda: MADE.ms() >= end and EARS.sampled >= READINGS, 600000)

    def portal(self):
        """It opens beside a Node that goes on sampling; a person fills in its form."""
        one, node = self._board, self._node
        self.begin("portal")

        def on_wait():
            WATCH.note()
            WATCH.look()
            return node.tick()

        if not one.setup(on_wait):
            raise RuntimeError("the form was not saved")

    def run(self):
        figures = {}
        self.until(lambda: EARS.freed > 0)
        WATCH.look()
        figures["live"] = WATCH.held()
        figures["modules"] = sorted([name for name in sys.modules if name in WATCH.loaded])
        self.begin("settings")
        self.until(lambda: EARS.settings == 2)
        self.every = 60
        self.begin("commands")
        self.until(lambda: EARS.commands == 2)
        self.begin("backlog")
        until = EARS.sampled + 600
        self.until(lambda: EARS.sampled >= until)
        ask("broker")
        self.until(lambda: EARS.freed >= until)
        if HOURS:
            self.day()
            figures["live_day"] = self.live()
            figures["hours"], figures["readings"] = MADE.ms() // 3600000, EARS.sampled
        WATCH.note()
        figures["seen"] = [name for name in WATCH.loaded if WATCH.loaded[name]]
        self.portal()
        figures["seen_portal"] = [name for name in WATCH.loaded if WATCH.loaded[name]]
        figures["live_end"] = self.live() if HOURS else WATCH.held()
        figures["highest"] = WATCH.highest
        print(json.dumps(figures))
        self._node.close()
        raise KeyboardInterrupt


with open(FOLDER + "/modules.json") as names:
    WATCH = Watch({name: False for name in json.load(names)})
MADE = fresh(real=True, hasty=True, file=FOLDER + "/flash.bin")
MADE.led = Dark()
MADE.wires[4] = Wire(
    Thermometer(Uptime(), rom_of(PROBE), 0x0190), Thermometer(Uptime(), rom_of("28ff641e8216c4"), 0x0190)
)
MADE.i2c = I2C({0x76: Bosch(Uptime(), 0x60, TRIM, RAW[:8])})
EARS = Ears()
ASKED = [(0, None)] * 4
BOARD = LET_GO = UDP = LINK = None
USED = dht, esp32, machine, network, onewire
gc.collect()
WATCH.base = gc.mem_alloc()

import main  # noqa: E402

gc.threshold(-1)


def live():
    global BOARD, LET_GO, UDP
    try:
        from thermograph import moment

        LET_GO, moment.let_go = moment.let_go, let_go
    except ImportError:
        pass  # a firmware that keeps all it loads
    BOARD = board(FOLDER)
    BOARD.say = EARS.say
    BOARD.idle = 1
    BOARD.ports = PORTS
    from thermograph.boards.sockets import Sockets
    from thermograph.contact import Contact
    from umqtt.simple import MQTTClient

    UDP, Sockets.udp = Sockets.udp, udp
    MQTTClient.set_callback = set_callback
    Contact.run = lambda node: World(node).run()
    main.start(BOARD)


live()
