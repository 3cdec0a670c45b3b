"""A rule: what is watched, and what counts as wrong. Pure."""

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import SettingsError
from .schedule import Schedule

Kind = Literal["high", "low", "rise", "fall", "silent"]
Severity = Literal["info", "warning", "critical"]
Measure = Literal["reading", "rssi", "outbox", "free", "restarts"]

DAY = 86_400_000


@dataclass(frozen=True)
class Rule:
    """Times and durations in ms, values in the channel's unit.

    kind      high, low: the value beyond `limit`; rise, fall: by more than `limit` within `window`;
              silent: no value for `limit` ms
    clear     the value must come back by this much beyond the limit before it counts as fine (hysteresis)
    duration  exposure that makes an episode; 0: at once
    window    high, low: 0 counts continuous exposure, else all exposure within a window of this length;
              rise, fall: the time over which the change is measured
    hold      a value counts as lasting until the next one, but no longer than this: then it is unknown
    measure   what is watched: a channel's readings, or of its device's health the Wi-Fi signal (dBm), how full the
              Outbox is (%), free memory (bytes), how many restarts were seen (a count that only grows: use rise)
    """

    kind: Kind
    limit: float
    clear: float = 0.0
    duration: int = 0
    window: int = 0
    hold: int = 900_000
    severity: Severity = "warning"
    schedule: Schedule | None = None
    measure: Measure = "reading"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise SettingsError(f"There is no rule of kind {self.kind!r}.", f"Kinds are {', '.join(get_args(Kind))}.")
        if self.severity not in get_args(Severity):
            raise SettingsError(f"There is no severity {self.severity!r}.", f"One of {', '.join(get_args(Severity))}.")
        if self.measure not in get_args(Measure):
            raise SettingsError(f"Nothing measures {self.measure!r}.", f"One of {', '.join(get_args(Measure))}.")
        if not -1e9 < self.limit < 1e9 or not 0 <= self.clear < 1e9:
            raise SettingsError("A limit and its hysteresis are numbers; the hysteresis is not negative.")
        if (
            self.hold <= 0
            or min(self.duration, self.window) < 0
            or max(self.duration, self.window, self.hold) > 31 * DAY
        ):
            raise SettingsError("A rule's times lie between 0 and 31 days.")
        if self.kind in ("rise", "fall") and (self.window == 0 or self.limit <= 0):
            raise SettingsError("A rule on the rate of change needs a limit over 0 and a window.")
        if self.kind == "silent" and self.limit <= 0:
            raise SettingsError("A rule on silence needs a time over 0.")
        if self.is_cumulative and not 0 < self.duration <= self.window:
            raise SettingsError("The exposure asked for does not fit into its window.", "Make the window longer.")

    @property
    def is_cumulative(self) -> bool:
        return self.window > 0 and self.kind in ("high", "low")
