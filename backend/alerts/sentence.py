"""A rule, and what became of it, in words. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ..temperature import IN_FAHRENHEIT, Scale, shown
from .episodes import Episode
from .rule import Rule

MEASURES = {
    "rssi": ("Wi-Fi signal", "dBm"),
    "outbox": ("Outbox", "% full"),
    "free": ("free memory", "bytes"),
    "restarts": ("restarts", ""),
}
UNITS = {"Cel": "°C", "%RH": "% RH", "Pa": "Pa", "V": "V", "dBm": "dBm"}
WORDS = {
    "high": "too high",
    "low": "too low",
    "rise": "rising too fast",
    "fall": "falling too fast",
    "silent": "silent",
}
STEPS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


@dataclass(frozen=True)
class Subject:
    """What a rule watches: a channel, or a part of a device's health. unit: as SenML names it, or of MEASURES."""

    device: str
    sensor: str
    unit: str


def sign(unit: str, scale: Scale = "C") -> str:
    """How people write the unit. scale: of temperatures."""
    return "°F" if shown(unit, scale) is IN_FAHRENHEIT else UNITS.get(unit, unit)


def amount(value: float, unit: str, scale: Scale = "C") -> str:
    return f"{shown(unit, scale).value(value):.10g} {sign(unit, scale)}".rstrip()


def difference(value: float, unit: str, scale: Scale = "C") -> str:
    """Of two values."""
    return f"{shown(unit, scale).difference(value):.10g} {sign(unit, scale)}".rstrip()


def lasting(ms: float) -> str:
    """A duration in its largest unit, and the next if there is a rest: 90,000 ms are "1 min 30 s"."""
    words: list[str] = []
    for size, name in STEPS:
        if ms >= size and len(words) < 2:
            words.append(f"{int(ms // size)} {name}")
            ms %= size
    return " ".join(words) or "0 s"


def moment(t: int) -> str:
    """A Unix time in ms as ISO 8601 UTC."""
    return datetime.fromtimestamp(t / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def rule_sentence(rule: Rule, unit: str, scale: Scale = "C") -> str:
    """What the rule says: "above 8 °C for 10 min"."""
    if rule.kind == "silent":
        text = f"no value for {lasting(rule.limit)}"
    elif rule.kind in ("rise", "fall"):
        way = "rises" if rule.kind == "rise" else "falls"
        text = f"{way} by more than {difference(rule.limit, unit, scale)} within {lasting(rule.window)}"
    else:
        text = f"{'above' if rule.kind == 'high' else 'below'} {amount(rule.limit, unit, scale)}"
    if rule.is_cumulative:
        return f"{text} for {lasting(rule.duration)} in all within {lasting(rule.window)}"
    return f"{text} for {lasting(rule.duration)}" if rule.duration else text


def when(rule: Rule) -> str:
    """When the rule is in force: "always", or its hours."""
    return "always" if rule.schedule is None else str(rule.schedule)


def title(name: str, rule: Rule, subject: Subject, phase: str, withdrawn: bool) -> str:
    what = f"{name} ({subject.device})"
    if phase == "raised":
        return f"{what}: {WORDS[rule.kind]}"
    if phase == "again":
        return f"{what}: still {WORDS[rule.kind]}"
    if phase == "unseen":
        return f"{what}: {WORDS[rule.kind]}, and nobody has acknowledged it"
    return f"{what}: withdrawn" if withdrawn else f"{what}: over"


def story(rule: Rule, subject: Subject, episode: Episode, withdrawn: bool) -> str:
    """What happened, for a mail's body."""
    lines = [f"{subject.sensor}: {rule_sentence(rule, subject.unit)}.", f"Since {moment(episode.start)}."]
    if episode.peak is not None:
        lines.append(f"Worst value: {amount(episode.peak, subject.unit)}.")
    if withdrawn:
        lines.append("Readings that came late, or a changed rule, have shown that it was none.")
    elif episode.end is not None:
        lines.append(f"Over since {moment(episode.end)}, after {lasting(episode.end - episode.start)}.")
    return "\n".join(lines)
