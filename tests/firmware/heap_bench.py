"""The world around tests/firmware/heap.py, and what was measured in it: for test_heap.py and `python -m tools bench
heap`."""

import ast
import contextlib
import json
import re
import struct
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

from tests.ports import free_port

from device_bench import Backend
from heap_rig import FIRST, ROOM, Missing, Rig, load_project  # noqa: F401  Missing is for the callers
from link_bench import Udp, dns_answer
from tls_bench import Authority, TlsMosquitto

LIMITS = {"live": 73728, "highest": 90112, "portal": 92160}  # bytes
# What has a limit: {figure: (in words, its limit)}.
FIGURES = {
    "live": ("live", "live"),
    "live_day": ("live after a day", "live"),
    "highest": ("highest", "highest"),
    "portal": ("with the portal", "portal"),
    "wokwi_live": ("live, a project on wokwi.com", "live"),
    "wokwi_highest": ("highest, a project on wokwi.com", "highest"),
}
READINGS = 10000
SINCE_1900 = 2208988800  # s, of 1970


class Clock(Udp):
    """A time server; the time is what it would be had the skipped time passed."""

    def __init__(self, folder):
        super().__init__(self._reply)
        self._file = folder / "skipped"

    def _reply(self, query):
        now = time.time() + int(self._file.read_text()) / 1000 + SINCE_1900
        stamp = struct.pack("!II", int(now), int(now % 1 * (1 << 32)))
        return [bytes((0x24, 2, 4, 0xEC)) + bytes(20) + query[40:48] + stamp + stamp]


class World:
    """The broker with TLS, the backend, name server, time server, and the phone at the portal."""

    def __init__(self, base, stack, authority=None, **changes):
        self.folder = base / "device"
        self.folder.mkdir()
        (self.folder / "skipped").write_text("0")
        authority = authority or Authority()
        self.broker = TlsMosquitto(base, authority.issue(base / "server.pem"))
        stack.callback(self.broker.kill)
        self.books = Books(self.broker.plain_port)
        stack.callback(self.books.stop)
        self.names = stack.enter_context(Udp(lambda data: [dns_answer(data, ["127.0.0.1"])]))
        self.clock = stack.enter_context(Clock(self.folder))
        self.web, self.dns = free_port(), free_port()
        self._fields = {
            "device": "fridge-1",
            "broker": {"host": "broker.cold.example", "port": self.broker.port, "user": "fridge",
                       "password": "cold-secret", "tls": {"ca": authority.pem, "host": "localhost"}},
            "networks": [{"ssid": "Home", "password": "goat cheese"}],
            "dns": [self.names.name],
            "ntp": ["%s.time.example:%s" % (name, self.clock.name.split(":")[1]) for name in "ab"],
            "interval": 1,
        }  # fmt: skip
        self.settle(changes)
        self._threads = []
        stack.callback(self._join)

    def settle(self, changes):
        """Write the device's settings."""
        (self.folder / "settings.json").write_text(json.dumps({**self._fields, **changes}))

    def answer(self, what):
        """Do what the device asks for; then it goes on."""
        getattr(self, "_" + what)()
        (self.folder / "done").touch()

    def _settings(self):
        self._tell(2, interval=1)

    def _commands(self):
        self.books.tell("command", json.dumps({"id": "a1", "command": "identify", "seconds": 2}))
        self.books.tell("command", json.dumps({"id": "a2", "command": "sample"}))

    def _backlog(self):
        self.broker.kill()

    def _broker(self):
        self.broker.start()
        self.books.wait()

    def _day(self):
        self._tell(3, interval=43)

    def _tell(self, revision, interval):
        self.books.tell("settings", json.dumps({
            "revision": revision, "interval": interval, "send": {"every": 60, "within": 7200}}))  # fmt: skip

    def _portal(self):
        self._threads.append(threading.Thread(target=self._fill_in))
        self._threads[-1].start()

    def _fill_in(self):
        """As a person does: looks, errs, is told, saves."""
        wrong = {"network": "Home", "password": "short", "host": "127.0.0.1", "port": self.broker.port,
                 "user": "fridge", "secret": "cold-secret", "device": "fridge-1"}  # fmt: skip
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError, AttributeError):
                for fields in (wrong, {**wrong, "password": "goat cheese", "force": "1"}):
                    token = re.search('name="token" value="([0-9a-f]+)"', self._get("/")).group(1)
                    text = self._get("/save", urllib.parse.urlencode({"token": token, **fields}).encode())
                if "Saved." in text:
                    return
            time.sleep(0.05)

    def _get(self, path, data=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.web, path), data)  # noqa: S310  http it is
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            return reply.read().decode()

    def _join(self):
        for thread in self._threads:
            thread.join(70)


class Books(Backend):
    """rows_a_message: the most that one had."""

    def __init__(self, port):
        self.rows_a_message = 0
        self._there = threading.Event()
        super().__init__(port)

    def _store(self, message):
        self.rows_a_message = max(self.rows_a_message, len(message.get("r", ())))
        super()._store(message)

    def wait(self):
        """Until it is connected again."""
        end = time.monotonic() + 10
        self._client.reconnect()
        while not self._client.is_connected():
            assert time.monotonic() < end
            time.sleep(0.01)


def measure(base, firmware, umqtt, hours=24):
    """What heap.py saw, in bytes, the firmware's own names included: {live: after the first acknowledged reading;
    highest: until the end of the day; portal: highest with it; live_day: live after the day; ...}."""
    return _by_no_chance(base, "board", lambda folder: _measured(folder, firmware, umqtt, hours))


def measure_project(base, firmware, umqtt):
    """The same of a project on wokwi.com, its settings, sensors and files, with a plain broker: {wokwi_live,
    wokwi_highest, wokwi_phases: with the unpacking before its start, wokwi_lines, wokwi_loaded}."""
    return _by_no_chance(base, "project", lambda folder: _measured_project(folder, firmware, umqtt))


def _by_no_chance(base, name, measured):
    """Measured once more, in a folder of another name, where it is over: the collector takes what lies on the stack for
    references, so what it keeps by chance (heap.py, sweep) is only ever too much, and another layout has it no more."""
    made = {}
    for again in range(3):
        made = measured(base / (name + "-again" * again))
        if not over(made):
            break
    return made


def _measured(base, firmware, umqtt, hours):
    rig = Rig(base, firmware, umqtt, "heap")
    with contextlib.ExitStack() as stack:
        world = World(base, stack)
        (world.folder / "modules.json").write_text(json.dumps(rig.modules))
        seen, lines = told(rig, world, [world.folder, world.web, world.dns, hours, READINGS if hours else 0])
    return figures(rig, seen, world, lines)


def _measured_project(base, firmware, umqtt):
    rig = Rig(base, firmware, umqtt, "heap", load_project)
    with contextlib.ExitStack() as stack:
        world = World(base, stack)
        own = json.loads((rig.board / "settings.json").read_text())
        broker = {"host": "broker.cold.example", "port": world.broker.plain_port, "user": "fridge",
                  "password": "cold-secret"}  # fmt: skip
        world.settle({**own, "device": "fridge-1", "broker": {**own["broker"], **broker}})
        (world.folder / "modules.json").write_text(json.dumps(rig.modules))
        seen, lines = told(rig, world, [world.folder, world.web, world.dns, 0, 0, "project"])
    made = figures(rig, seen, world, lines)
    return {"wokwi_" + key: made[key] for key in ("live", "highest", "phases", "lines", "loaded")}


def told(rig, world, arguments):
    """(the figures of heap.py, the lines before)."""
    lines, code = converse(rig, world, arguments)
    assert code == 0 and lines and lines[-1].startswith("{"), "\n".join(lines[-30:])
    return json.loads(lines.pop()), lines


def converse(rig, world, arguments, heap=ROOM):
    """Run it and do what it asks: (its lines, its exit code)."""
    lines = []
    with rig.start(*arguments, heap=heap) as process:
        try:
            for line in process.stdout:
                if line.startswith('{"ask"'):
                    world.answer(json.loads(line)["ask"])
                else:
                    lines.append(line.rstrip())
            return lines, process.wait(10)
        finally:
            process.kill()


def figures(rig, seen, world, lines):
    names = rig.names_in(seen["seen"])
    own = rig.cost_of_names(names)
    more = rig.cost_of_names(rig.names_in(seen["seen_portal"]))
    phases = {phase: held + own for phase, held in seen["highest"].items() if held}
    portal = phases.pop("portal", own) - own + more
    if "unpacking" in phases:
        phases["unpacking"] += rig.cost_of_names(rig.names_in([])) - own  # nothing else is loaded yet
    return {
        "live": seen["live"] + own,
        "highest": max(phases.values()),
        "portal": portal,
        "live_day": seen["live_day"] + own if "live_day" in seen else None,
        "phases": phases,
        "hours": seen.get("hours", 0),
        "readings": seen.get("readings", 0),
        "names": len(names),
        "names_bytes": own,
        "rows_a_message": world.books.rows_a_message,
        "loaded": seen["modules"],
        "lines": lines,
    }


def over(seen):
    """What is over its limit, in words."""
    found = [(name, seen.get(key) or 0, LIMITS[limit]) for key, (name, limit) in FIGURES.items()]
    return ["%s: %d bytes, at most %d" % (name, bytes, limit) for name, bytes, limit in found if bytes > limit]


def table(base, firmware, umqtt):
    """[(module, bytes)] of all that a board may load, in an order in which each comes after those that it imports;
    a module's names are counted where they come first."""
    rig = Rig(base, firmware, umqtt, "heap_modules")
    folder = base / "device"
    folder.mkdir()
    ordered = in_order(firmware, rig.modules)
    (folder / "modules.json").write_text(json.dumps(ordered))
    output, code = rig.run(folder)
    assert code == 0, output[-2000:]
    costs = [json.loads(line) for line in output.splitlines()]
    loaded = [name for name, cost in costs if cost is not None]
    names = rig.names_in(loaded)
    each, known, rows = rig.cost_of_names(names) / len(names), set(), []
    for name, cost in costs:
        if cost is not None:
            new = rig.names_in(FIRST if name in FIRST else [name]) - known
            known |= new
            rows.append((name, cost + round(len(new) * each)))
    return rows


def in_order(firmware, modules):
    """Packages before what is in them, and a module after all that it imports at its top."""
    ordered = []

    def visit(name):
        if name in ordered or name not in modules:
            return
        if "." in name:
            visit(name.rsplit(".", 1)[0])
        for other in imports_of(firmware, name):
            visit(other)
        if name not in ordered:
            ordered.append(name)

    for name in (*FIRST, *modules):
        visit(name)
    return ordered


def imports_of(firmware, name):
    """The modules that a module's top imports, whole names."""
    place = Path(firmware) / name.replace(".", "/")
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not source.is_file():
        return  # umqtt is no part of the folder
    package = name.split(".") if place.is_dir() else name.split(".")[:-1]
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*above, *([node.module] if node.module else [])])
            yield whole
            yield from ("%s.%s" % (whole, one.name) for one in node.names)
