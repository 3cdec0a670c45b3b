"""The rule editor's form: what was typed → the rule that is wanted, and a rule → what the form shows. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from ..alerts import duration
from ..alerts.rule import Rule
from ..alerts.rules import RuleEntry, Wanted
from ..alerts.schedule import Schedule
from ..alerts.sentence import MEASURES, lasting
from ..errors import SettingsError
from ..temperature import Scale, shown

KINDS = (
    ("high", "is above"),
    ("low", "is below"),
    ("rise", "rises by more than"),
    ("fall", "falls by more than"),
    ("silent", "sends no value"),
)
SEVERITIES = ("info", "warning", "critical")
EMPTY: dict[str, Any] = {
    "scale": "C",
    "name": "",
    "subject": "",
    "kind": "high",
    "limit": "",
    "silence": "15 min",
    "clear": "0.5",
    "duration": "10 min",
    "window": "",
    "hold": "15 min",
    "severity": "warning",
    "days": (),
    "start": "00:00",
    "end": "24:00",
    "zone": "UTC",
    "targets": (),
    "escalate_after": "",
    "escalate_to": (),
}


def typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """As it was typed, to be shown again."""
    lists = ("days", "targets", "escalate_to")
    found = {
        name: tuple(form.getlist(name)) if name in lists else form.get(name, default)[:200]
        for name, default in EMPTY.items()
    }
    return {**found, "scale": "F" if found["scale"] == "F" else "C"}


def wanted(values: Mapping[str, Any], unit: str) -> Wanted:
    """The rule that these values say. unit: of what is watched, as SenML names it; temperatures were typed in `scale`.

    Raises SettingsError.
    """
    channel, device, measure = subject(values["subject"])
    kind = values["kind"]
    typed_as = shown(unit, values["scale"])
    rule = Rule(
        kind=kind,
        limit=_limit(values, typed_as.kept_difference if kind in ("rise", "fall") else typed_as.kept_value),
        clear=0.0 if kind == "silent" else typed_as.kept_difference(number(values["clear"] or "0", "The way back")),
        duration=duration.parse(values["duration"]),
        window=0 if kind == "silent" else duration.parse(values["window"]),
        hold=duration.parse(values["hold"]),
        severity=values["severity"],
        schedule=_schedule(values),
        measure=measure,  # type: ignore[arg-type]
    )
    return Wanted(
        name=values["name"],
        rule=rule,
        channel=channel,
        device=device,
        targets=_numbers(values["targets"]),
        escalate_after=duration.parse(values["escalate_after"]),
        escalate_to=_numbers(values["escalate_to"]),
    )


def _limit(values: Mapping[str, Any], kept: Callable[[float], float]) -> float:
    if values["kind"] == "silent":
        return float(duration.parse(values["silence"]))
    return kept(number(values["limit"], "The limit"))


def values_of(entry: RuleEntry, scale: Scale) -> dict[str, Any]:
    """What the form shows for a rule that there is."""
    rule, schedule = entry.rule, entry.rule.schedule
    told_as = shown(entry.unit, scale)
    limit = told_as.difference(rule.limit) if rule.kind in ("rise", "fall") else told_as.value(rule.limit)
    hours = (
        {"days": tuple(map(str, schedule.days)), "start": _clock(schedule.start), "end": _clock(schedule.end)}
        | {"zone": schedule.zone}
        if schedule
        else {}
    )
    silent = rule.kind == "silent"
    return {
        **EMPTY,
        "scale": scale,
        "name": entry.name,
        "subject": f"channel:{entry.channel}" if entry.channel else f"health:{rule.measure}:{entry.device}",
        "kind": rule.kind,
        "limit": "" if silent else f"{limit:.10g}",
        "silence": lasting(rule.limit) if silent else EMPTY["silence"],
        "clear": f"{told_as.difference(rule.clear):.10g}",
        "duration": lasting(rule.duration) if rule.duration else "",
        "window": lasting(rule.window) if rule.window else "",
        "hold": lasting(rule.hold),
        "severity": rule.severity,
        "targets": tuple(map(str, entry.targets)),
        "escalate_after": lasting(entry.escalate_after) if entry.escalate_after else "",
        "escalate_to": tuple(map(str, entry.escalate_to)),
        **hours,
    }


def subject(text: str) -> tuple[int | None, str | None, str]:
    """(channel's number, None, "reading") or (None, device's name, measure). Raises SettingsError."""
    kind, _, rest = text.partition(":")
    if kind == "channel" and rest.isascii() and rest.isdigit() and len(rest) < 19:
        return int(rest), None, "reading"
    measure, _, device = rest.partition(":")
    if kind == "health" and measure in MEASURES and device:
        return None, device, measure
    raise SettingsError("A rule watches something.", "Choose what.")


def number(text: str, what: str) -> float:
    """Raises SettingsError."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise SettingsError(f"{what} is {text[:20]!r}, and no number.", "Write it as 8 or 8.5.") from None


def _schedule(values: Mapping[str, Any]) -> Schedule | None:
    if not values["days"]:
        return None
    days = tuple(sorted({day for day in _numbers(values["days"]) if day < 7}))
    return Schedule(values["zone"].strip(), days, _minute(values["start"]), _minute(values["end"]))


def _minute(text: str) -> int:
    hour, colon, minute = text.strip().partition(":")
    if not (colon and hour.isascii() and hour.isdigit() and minute.isascii() and minute.isdigit() and int(minute) < 60):
        raise SettingsError(f"{text[:20]!r} is no time of day.", "Write it as 08:30.")
    return int(hour) * 60 + int(minute)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _numbers(texts: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19)
