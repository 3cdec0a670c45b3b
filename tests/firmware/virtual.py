"""A device on virtual time, for CPython and MicroPython: its board, its files, and the far side of its Link.

World.now is the truth, in Unix ms. Nothing here waits: what would, moves World.now.
"""

import json

from thermograph import kept
from thermograph.clock import Clock
from thermograph.errors import LinkError

START = 1767225600000  # 2026-01-01
STREAM = b"\x9f\x3a\x1c\x02"


class PowerGone(BaseException):
    """Nothing in the firmware may catch it."""


class Restarted(BaseException):
    pass


class Crash(Exception):
    pass


class World:
    """Time passes by pass_by(); cut_at: when the power goes."""

    def __init__(self, now=START):
        self.now = now
        self.cut_at = None

    def pass_by(self, ms):
        end = self.now + ms if ms > 0 else self.now
        if self.cut_at is not None and self.cut_at <= end:
            self.now, self.cut_at = max(self.now, self.cut_at), None
            raise PowerGone()
        self.now = end


class Time:
    """The time module of a board that was switched on now. off: ms by which its clock is wrong, or None."""

    def __init__(self, world, off=0):
        self._world = world
        self._start = world.now
        self.off = off

    def ticks_ms(self):
        return self._world.now - self._start

    def ticks_diff(self, a, b):
        return a - b

    def gmtime(self, seconds):
        return (1970, 1, 1)

    def time_ns(self):
        if self.off is None:
            return self.ticks_ms() * 1000000
        return (self._world.now + self.off) * 1000000


class Files:
    """A disk of small files; fuse: writes and removes until the power goes."""

    def __init__(self, texts=None):
        self.texts = texts if texts is not None else {}
        self.fuse = None
        self.writes = 0

    def read(self, name):
        return self.texts.get(name)

    def write(self, name, text):
        self._step()
        self.texts[name] = text
        self.writes += 1

    def remove(self, name):
        self._step()
        self.texts.pop(name, None)

    def _step(self):
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise PowerGone()


class Board:
    """What a Node asks of its board. lines: what it said; identified: seconds; fed: when last."""

    idle = 1000

    def __init__(self, world, files, off=0, keep_lines=True):
        self.world = world
        self.files = files
        self.time = Time(world, off)
        self.store = kept.settings(self)
        self.settings = self.store.do("load")
        self.clock = Clock(self.time, self.settings.clock)
        self.lines = [] if keep_lines else None
        self.identified = []
        self.fed = None
        self.reset = "power-on"

    def pause(self, ms):
        self.world.pass_by(ms)

    def watch(self):
        pass

    def feed(self):
        self.fed = self.world.now

    def setup_wanted(self):
        return False

    def random(self):
        return 0.5

    def health(self):
        return {"reset": self.reset, "free": 100000, "block": 50000, "rssi": None}

    def identify(self, seconds):
        self.identified.append(seconds)

    def restart(self):
        raise Restarted()

    def say(self, text):
        if self.lines is not None:
            self.lines.append(text)

    def said(self, word):
        return [line for line in self.lines if line.split()[1] == word]


class Broker:
    """The far side. up: whether it answers; retained: {leaf: payload}; heard: [(leaf, payload)];
    on_publish(leaf, payload) sees each message, and may give payloads of acks."""

    def __init__(self):
        self.up = True
        self.retained = {}
        self.heard = []
        self.pending = []
        self.connects = 0
        self.on_publish = None

    def state(self):
        """The newest state."""
        return json.loads([payload for leaf, payload in self.heard if leaf == "state"][-1])

    def send(self, leaf, payload, retain=False):
        payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        if retain:
            self.retained[leaf] = payload
        self.pending.append((leaf, payload))

    def take(self, leaf, payload):
        if self.on_publish is None:
            self.heard.append((leaf, payload))
        else:
            self.on_publish(leaf, payload)


class Link:
    """thermograph.link.Link, as a Node sees it."""

    timeout = 10000

    def __init__(self, world, broker, device, on_wait, on_message):
        self._world = world
        self._broker = broker
        self._topic = "thermograph/v1/%s/" % device
        self._on_wait = on_wait
        self._on_message = on_message
        self.connected = False

    def set_last_will(self, topic, payload, retain, qos):
        pass

    def connect(self):
        self._ask()
        self._broker.pending = []
        self._broker.connects += 1
        self.connected = True

    def subscribe(self, topic, qos=0):
        self._ask()
        leaf = topic[len(self._topic) :]
        if leaf in self._broker.retained:
            self._broker.pending.append((leaf, self._broker.retained[leaf]))

    def publish(self, topic, payload, retain=False, qos=0):
        self._ask()
        self._broker.take(topic[len(self._topic) :], payload)

    def listen(self, ms):
        if not self._broker.pending:
            self._wait(ms)
        if not self._broker.up:
            self._ask()
        if not self._broker.pending:
            return False
        leaf, payload = self._broker.pending.pop(0)
        self._on_message((self._topic + leaf).encode(), payload)
        return True

    def disconnect(self):
        self.connected = False

    drop = disconnect

    fresh = False

    def network_is_new(self):
        """True once after the network came back."""
        fresh, self.fresh = self.fresh, False
        return fresh

    def _ask(self):
        """One exchange; without an answer it takes the whole time and fails."""
        if self._broker.up:
            return
        self._wait(self.timeout)
        if not self._broker.up:
            self.connected = False
            raise LinkError("the broker is silent")

    def _wait(self, ms):
        end = self._world.now + ms
        while True:
            spare = self._on_wait()
            left = end - self._world.now
            if left <= 0 or self._broker.pending:
                return
            self._world.pass_by(min(spare, left) or 1)


class Fixed:
    """A sensor of two steps. script: [value, or fault, or exception], the last for ever; ready: ms."""

    def __init__(self, name="28ff641e8216c3a1", script=(4.5,), ready=0, unit="Cel"):
        self.channels = [(name, unit)]
        self.script = list(script)
        self.ready = ready
        self.starts = 0

    def start(self):
        self.starts += 1
        return self.ready

    def read(self):
        told = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(told, Exception):
            raise type(told)(*told.args)  # the same object would collect tracebacks
        return [(None, told) if isinstance(told, str) else (told, None)]


FIELDS = {
    "device": "fridge-1",
    "broker": {"host": "10.0.0.1", "user": "fridge", "password": "cold-secret"},
    "sensors": [{"kind": "simulated", "id": "28ff641e8216c3a1"}],
}


def fields(**changes):
    made = dict(FIELDS)
    made.update(changes)
    return made
