"""Steps as Wokwi's automation scenarios have them, played on every device of a bench at once.

    delay: 500ms                      ms, s, us or ns
    wait-serial: 'text'               until each device's console has said it, after what was waited for before
    set-control:                      of Wokwi: a sensor's `temperature`
      part-id: ds18b20
      control: temperature
      value: 21.5

Three parts that Wokwi has not: `wifi` (control `connected`), `network` (`blocked`) and `power` (`on`), with 0 or 1.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backend.errors import SettingsError, ThermographError

from .device import Device

DELAY = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
CONTROLS: dict[tuple[str, str], Callable[[Device, float], None]] = {
    ("wifi", "connected"): lambda device, on: device.set_wifi(bool(on)),
    ("network", "blocked"): lambda device, on: device.set_flowing(not on),
    ("power", "on"): lambda device, on: device.start() if on else device.cut_power(),
}
LAST_WORDS = 4


class ScenarioFailed(ThermographError):
    """A step did not come true. The exit code is the one that wokwi-cli has for a timeout."""

    exit_code = 42


@dataclasses.dataclass(frozen=True)
class Step:
    """text: as a person reads it. Exactly one of the others is there: seconds, words, or control with its value."""

    text: str
    seconds: float | None = None
    words: str | None = None
    part: str = ""
    control: str = ""
    value: float = 0.0


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]


def read(file: Path) -> Scenario:
    """Raises SettingsError, naming the step, for what is no scenario or cannot be played here."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise SettingsError("A scenario is YAML, and PyYAML is not installed.", "Run: pip install pyyaml") from None
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{file} cannot be read as YAML: {error}") from None
    steps = content.get("steps") if isinstance(content, dict) else None
    if not isinstance(steps, list) or not steps:
        raise SettingsError(f"{file} has no list `steps`.", "README.md shows a scenario.")
    parsed = []
    for number, step in enumerate(steps, 1):
        try:
            parsed.append(_step(step))
        except (ValueError, TypeError, KeyError) as error:
            raise SettingsError(f"Step {number} of {file}: {error}") from None
    return Scenario(str(content.get("name") or file.stem), tuple(parsed))


def _step(step: Any) -> Step:
    actions = {kind: given for kind, given in step.items() if kind != "name"} if isinstance(step, dict) else {}
    if len(actions) != 1:
        raise ValueError(f"{step!r} is no step: it takes one action, as in `delay: 2s`, and a name if you like")
    ((kind, given),) = actions.items()
    if kind == "delay":
        found = DELAY.fullmatch(str(given))
        if not found:
            raise ValueError(f"delay: {given!r} has no unit, as in 500ms or 2s")
        return Step(f"delay {given}", seconds=float(found[1]) * SECONDS[found[2]])
    if kind == "wait-serial":
        return Step(f"wait-serial {given!r}", words=str(given))
    if kind == "set-control":
        return _control(given)
    raise ValueError(f"{kind} cannot be played without Wokwi; delay, wait-serial and set-control can")


def _control(given: Any) -> Step:
    fields = ("part-id", "control", "value")
    if not isinstance(given, dict) or set(given) != set(fields):
        raise ValueError(f"set-control takes {', '.join(fields)}")
    part, control, value = str(given["part-id"]), str(given["control"]), float(given["value"])
    if control != "temperature" and (part, control) not in CONTROLS:
        known = ", ".join(f"{part}/{control}" for part, control in CONTROLS)
        raise ValueError(f"{part}/{control} is nothing that is simulated here; SENSOR/temperature, {known} are")
    return Step(f"set-control {part} {control} {value:g}", part=part, control=control, value=value)


class Player:
    """Plays a scenario, a little at each call of advance()."""

    def __init__(self, scenario: Scenario, devices: Sequence[Device], tell: Callable[[Step, float], None]) -> None:
        """tell: a step is done, after so many seconds."""
        self._steps, self._devices, self._tell = scenario.steps, devices, tell
        self._at = 0
        self._since: float | None = None
        # Where each console goes on to be read.
        self._heard = [0] * len(devices)
        self._missing = set(range(len(devices)))

    @property
    def step(self) -> Step | None:
        return self._steps[self._at] if self._at < len(self._steps) else None

    def advance(self, now: float) -> bool:
        """now: of a monotonic clock. True when all steps are done."""
        while (step := self.step) is not None:
            if self._since is None:
                self._since = now
                self._missing = set(range(len(self._devices)))
                if step.control:
                    self._set(step)
            if not self._done(step, now):
                return False
            self._tell(step, now - self._since)
            self._at, self._since = self._at + 1, None
        return True

    def failure(self, seconds: float) -> ScenarioFailed:
        """What a person should know when it took too long."""
        step = self.step
        text = f"{seconds:g} s were not enough: step {self._at + 1}, {step.text if step else 'none'}, did not come true"
        if step is None or step.words is None:
            return ScenarioFailed(f"{text}.", "Give it more: --timeout SECONDS.")
        silent = [self._devices[at] for at in sorted(self._missing)]
        words = "\n    ".join(f"{silent[0].name}: {line}" for line in silent[0].lines[-LAST_WORDS:]) if silent else ""
        names = ", ".join(device.name for device in silent[:5]) + (", ..." if len(silent) > 5 else "")
        return ScenarioFailed(f"{text} for {names}. The last words:\n    {words}", "Their whole consoles: console.log.")

    def _done(self, step: Step, now: float) -> bool:
        if step.seconds is not None:
            return self._since is not None and now - self._since >= step.seconds
        if step.words is None:
            return True
        for at in tuple(self._missing):
            lines = self._devices[at].lines
            while self._heard[at] < len(lines) and at in self._missing:
                if step.words in lines[self._heard[at]]:
                    self._missing.discard(at)
                self._heard[at] += 1
        return not self._missing

    def _set(self, step: Step) -> None:
        change = CONTROLS.get((step.part, step.control), Device.set_celsius)
        for device in self._devices:
            change(device, step.value)
