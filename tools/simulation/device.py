"""One simulated board: the firmware in a process of its own, its folder, its network, and what its console said."""

import dataclasses
import json
import re
import time
from collections import deque
from pathlib import Path

from backend import private
from backend.run.child import Child, Service
from backend.run.device import Program
from backend.settings import Secret

from .network import Network, Way

# The one on the wire of diagram.json: a scenario that waits for its readings plays in Wokwi and here.
SENSOR = "28a1a1a1a1a1a12b"
SAMPLE = re.compile(r"(?P<time>\S+) sample \S+ (?P<value>\S+) Cel seq (?P<seq>\d+)")
GREETING = re.compile(
    r"\S+ boot \d+ stream (?P<stream>[0-9a-f]{8}) holds \d+ to (?P<last>\d+), freed to (?P<freed>\d+)"
)
FREED = re.compile(r"\S+ freed to (?P<freed>\d+), kept \d+")
SHOWN_VALUES = 24
# A start after an end that nobody asked for waits so long.
RESTART_AFTER = 1.0
STOP_WITHIN = 10.0


@dataclasses.dataclass(frozen=True)
class Identity:
    """At the broker. user "": nobody. ca: PEM text of who signed the broker's certificate, which names host."""

    name: str
    user: str
    password: Secret
    ca: str | None
    host: str


@dataclasses.dataclass(frozen=True)
class Sampling:
    interval: float
    seed: int
    faults: float


class Device:
    """What the console said: value (the newest as text), last, freed, sampled[seq] and so on; written by one thread."""

    def __init__(self, folder: Path, who: Identity, sampling: Sampling, program: Program, network: Network, way: Way):
        self.folder, self.name = folder, who.name
        self.lines: list[str] = []
        self.sampled: dict[tuple[str, int], str] = {}
        self.first_seq: dict[str, int] = {}
        self.values: deque[float | None] = deque(maxlen=SHOWN_VALUES)
        self.value, self.stream, self.event = "", "", ""
        self.last = self.freed = self.cuts = self.crashes = 0
        self.powered = self.wifi = self.flowing = True
        self.connected = self._greeted = False
        self.add = 0.0
        self._celsius: float | None = None
        self._who, self._sampling, self._program = who, sampling, program
        self._network, self._way = network, way
        self._child: Child | None = None
        self._ended = 0.0
        private.make_folder(folder)
        self._write_settings(sampling.interval)
        self._write_drive()

    @property
    def depth(self) -> int:
        """Readings that wait on the device."""
        return max(0, self.last - self.freed)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    # -- what a person does to it

    def start(self) -> None:
        """In the main thread: Linux ties the process to the thread that starts it."""
        self.powered, self._greeted = True, False
        self._child = Child(
            Service(
                name=self.name,
                about="",
                command=self._program.command,
                environment=self._program.environment,
                folder=self.folder,
                log=self.folder / "console.log",
                ready=lambda child: bool(child.said),
                on_line=self.hear,
            )
        )

    def cut_power(self) -> None:
        """kill -9: nothing is said, nothing is closed."""
        self.powered, self.connected = False, False
        self.cuts += 1
        self.event = "the power is cut"
        if self._child is not None:
            self._child.kill()
            self._child.wait(STOP_WITHIN)

    def set_wifi(self, on: bool) -> None:
        self.wifi = on
        self._write_drive()
        if not on:
            self._network.call(self._way.cut)

    def set_flowing(self, on: bool) -> None:
        """False: what is sent does not arrive, and nobody says so."""
        self.flowing = on
        self._network.call(self._way.resume if on else self._way.block)

    def warm(self, degrees: float) -> None:
        self.add += degrees
        self._write_drive()

    def set_celsius(self, celsius: float) -> None:
        """From now on it measures this, instead of its fridge."""
        self._celsius = celsius
        self._write_drive()

    def rest_from_sampling(self) -> None:
        """Start again with an interval of a day: it sends what it holds, and samples nothing more."""
        self.stop()
        self._write_settings(86400)
        self.start()

    @property
    def settled(self) -> bool:
        """Since it was last started it has said what it holds, and all of it was acked."""
        return self._greeted and not self.depth

    def ask_to_stop(self) -> None:
        """So that several end at the same time; stop() waits for the end."""
        if self._child is not None:
            self.powered = False
            self._child.ask_to_stop()

    def stop(self) -> None:
        if self._child is not None and self._child.exit_code is None:
            self._child.ask_to_stop()
            if not self._child.wait(STOP_WITHIN):
                self._child.kill()
        self.powered = self.connected = False

    def look_after(self) -> None:
        """Start it again if it ended by itself. To be called often, in the main thread."""
        if not self.powered or self._child is None or self._child.exit_code is None:
            return
        if self.connected or not self._ended:
            self.connected, self._ended = False, time.monotonic()
            self.crashes += 1
            self.event = f"ended by itself (exit {self._child.exit_code})"
        elif time.monotonic() - self._ended > RESTART_AFTER:
            self._ended = 0.0
            self.start()

    # -- what it says

    def hear(self, line: str) -> None:
        self.lines.append(line)
        if found := SAMPLE.fullmatch(line):
            self.value, self.last = found["value"], int(found["seq"])
            self.sampled[self.stream, self.last] = self.value
            self.values.append(None if self.value.startswith("fault:") else float(self.value))
            return
        if found := FREED.fullmatch(line):
            self.freed = int(found["freed"])
            return
        if found := GREETING.fullmatch(line):
            self.stream, self.last, self.freed = found["stream"], int(found["last"]), int(found["freed"])
            self.first_seq.setdefault(self.stream, self.last + 1)
            self._greeted = True
        self.event = line.partition(" ")[2]
        if self.event.startswith("connected to "):
            self.connected = True
        elif self.event.startswith("link lost"):
            self.connected = False

    # -- its files

    def _write_settings(self, interval: float) -> None:
        broker: dict[str, object] = {"host": "127.0.0.1", "port": self._way.port}
        if self._who.user:
            broker |= {"user": self._who.user, "password": str(self._who.password)}
        if self._who.ca is not None:
            broker["tls"] = {"ca": self._who.ca, "host": self._who.host}
        sensor = {"kind": "simulated", "id": SENSOR, "seed": self._sampling.seed, "faults": self._sampling.faults}
        fields = {"device": self.name, "interval": interval, "broker": broker, "sensors": [sensor]}
        private.write(self.folder / "settings.json", json.dumps(fields, indent=1) + "\n")

    def _write_drive(self) -> None:
        drive = {"add": self.add, "wifi": self.wifi} | ({} if self._celsius is None else {"celsius": self._celsius})
        private.write(self.folder / "drive.json", json.dumps(drive) + "\n")
