"""Rules, as people make, change and read them."""

import dataclasses
import json
import time
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from ..database import insert_one
from ..errors import NotFound, SettingsError
from ..models import Channel, Device, Progress
from .episode_log import EpisodeEntry, acknowledge, episodes, snooze
from .rule import DAY, Rule
from .sentence import MEASURES, rule_sentence
from .tables import AlertCheckpoint, AlertMark, AlertRule, AlertTarget, EpisodeRow, NoticeRow
from .targets import add_target
from .telling import tell_again

__all__ = [
    "EpisodeEntry",
    "RuleEntry",
    "Wanted",
    "acknowledge",
    "add",
    "add_rule",
    "add_target",
    "change",
    "enable",
    "episodes",
    "remove_rule",
    "rule",
    "rules",
    "snooze",
]

LONGEST_NAME = 120
MOST_TARGETS = 20


@dataclasses.dataclass(frozen=True)
class RuleEntry:
    """A rule as it stands. sentence: what it says, in words. escalate_after: ms; 0: never.

    channel is None where it watches the health of the device; sensor and unit are then those of the measure.
    """

    id: int
    name: str
    channel: int | None
    device: str
    sensor: str
    unit: str
    rule: Rule
    sentence: str
    targets: tuple[int, ...]
    enabled: bool
    revision: int
    escalate_after: int = 0
    escalate_to: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A rule as somebody wants it. Either a channel (id), or a device (name) whose health is watched."""

    name: str
    rule: Rule
    channel: int | None = None
    device: str | None = None
    targets: tuple[int, ...] = ()
    escalate_after: int = 0
    escalate_to: tuple[int, ...] = ()


def add_rule(connection: Connection, name: str, channel: int, rule: Rule, targets: tuple[int, ...]) -> int:
    """A rule over a channel; its id. Raises NotFound, SettingsError."""
    return add(connection, Wanted(name, rule, channel, targets=targets))


def add(connection: Connection, wanted: Wanted) -> int:
    """Its id. What was over before now is history, and nobody is told of it. Raises NotFound, SettingsError."""
    values = _values(connection, wanted) | {"enabled": True, "revision": 1, "created": _now(), "changed": _now()}
    made = insert_one(connection, AlertRule, values)
    _show(connection)
    return made


def change(connection: Connection, rule_id: int, wanted: Wanted) -> RuleEntry:
    """Let the rule say this from now on. Where it says something else than before, all readings that SQL still has
    are judged anew by it; other targets alone change nothing of what was found. Raises NotFound, SettingsError.
    """
    before = connection.execute(
        select(AlertRule).where(AlertRule.id == rule_id).with_for_update()
    ).one_or_none() or _missing(rule_id)
    values = _values(connection, wanted)
    if any(values[name] != getattr(before, name) for name in ("body", "channel_id", "device_id")):
        values |= {"revision": before.revision + 1, "changed": _now()}
    connection.execute(update(AlertRule).where(AlertRule.id == rule_id).values(values))
    _show(connection)
    return rule(connection, rule_id)


def enable(connection: Connection, rule_id: int, enabled: bool) -> None:
    """Switched off, it judges nothing, and what lasts is called over now. Raises NotFound."""
    rule(connection, rule_id)
    connection.execute(update(AlertRule).where(AlertRule.id == rule_id).values(enabled=enabled))
    if not enabled:
        lasting = select(EpisodeRow.id).where(
            EpisodeRow.rule_id == rule_id, EpisodeRow.ended.is_(None), EpisodeRow.withdrawn_at.is_(None)
        )
        for episode_id in connection.scalars(lasting).all():
            connection.execute(update(EpisodeRow).where(EpisodeRow.id == episode_id).values(ended=_now()))
            tell_again(connection, episode_id, "ended", _now())
    _show(connection)


def remove_rule(connection: Connection, rule_id: int) -> None:
    """With its episodes and notices. Raises NotFound."""
    rule(connection, rule_id)
    episodes = select(EpisodeRow.id).where(EpisodeRow.rule_id == rule_id)
    connection.execute(delete(NoticeRow).where(NoticeRow.episode_id.in_(episodes)))
    for table in (EpisodeRow, AlertMark, AlertCheckpoint):
        connection.execute(delete(table).where(table.rule_id == rule_id))
    connection.execute(delete(AlertRule).where(AlertRule.id == rule_id))
    _show(connection)


def rules(connection: Connection, devices: Collection[str] | None = None) -> list[RuleEntry]:
    """By name. devices: only over these."""
    query = _selected().order_by(AlertRule.name, AlertRule.id)
    if devices is not None:
        query = query.where(Device.name.in_(devices))
    return [_rule_entry(row) for row in connection.execute(query)]


def rule(connection: Connection, rule_id: int) -> RuleEntry:
    """Raises NotFound."""
    row = connection.execute(_selected().where(AlertRule.id == rule_id)).one_or_none()
    return _rule_entry(row or _missing(rule_id))


def _selected() -> Any:
    return (
        select(AlertRule, Device.name.label("device"), Channel.sensor, Channel.unit)
        .outerjoin(Channel, Channel.id == AlertRule.channel_id)
        .join(Device, Device.id == func.coalesce(AlertRule.device_id, Channel.device_id))
    )


def _rule_entry(row: Any) -> RuleEntry:
    rule = msgspec.json.decode(row.body, type=Rule)
    sensor, unit = (row.sensor, row.unit) if row.channel_id else MEASURES.get(rule.measure, ("health", ""))
    return RuleEntry(
        id=row.id,
        name=row.name,
        channel=row.channel_id,
        device=row.device,
        sensor=sensor,
        unit=unit,
        rule=rule,
        sentence=rule_sentence(rule, unit),
        targets=tuple(json.loads(row.targets)),
        enabled=row.enabled,
        revision=row.revision,
        escalate_after=row.escalate_after,
        escalate_to=tuple(json.loads(row.escalate_to)),
    )


def _values(connection: Connection, wanted: Wanted) -> dict[str, Any]:
    """What SQL keeps of it. Raises NotFound, SettingsError."""
    name = wanted.name.strip()
    if not name or len(name) > LONGEST_NAME or not wanted.name.isprintable():
        raise SettingsError(f"A rule's name has 1 to {LONGEST_NAME} characters in one line.")
    if not 0 <= wanted.escalate_after <= 7 * DAY:
        raise SettingsError("Further targets are told after 1 minute to 7 days.", "0 is never.")
    if bool(wanted.escalate_after) != bool(wanted.escalate_to):
        raise SettingsError("Whom to tell when nobody answers goes with a time.", "Give both, or neither.")
    _check_targets(connection, wanted.targets)
    _check_targets(connection, wanted.escalate_to)
    return {
        "name": name,
        **_subject(connection, wanted),
        "body": msgspec.json.encode(wanted.rule).decode(),
        "targets": json.dumps(sorted(set(wanted.targets))),
        "escalate_after": wanted.escalate_after,
        "escalate_to": json.dumps(sorted(set(wanted.escalate_to))),
    }


def _subject(connection: Connection, wanted: Wanted) -> dict[str, int | None]:
    if wanted.rule.measure == "reading":
        found = connection.scalar(select(Channel.id).where(Channel.id == wanted.channel))
        if found is None:
            raise NotFound(f"There is no channel {wanted.channel}.", "GET /api/v1/devices lists them.")
        return {"channel_id": found, "device_id": None}
    found = connection.scalar(select(Device.id).where(Device.name == wanted.device))
    if found is None:
        raise NotFound(f"There is no device {wanted.device}.", "GET /api/v1/devices lists them.")
    return {"channel_id": None, "device_id": found}


def _check_targets(connection: Connection, targets: tuple[int, ...]) -> None:
    if len(set(targets)) > MOST_TARGETS:
        raise SettingsError(f"A rule tells at most {MOST_TARGETS} targets.")
    known = set(connection.scalars(select(AlertTarget.id).where(AlertTarget.removed_at.is_(None))))
    if not set(targets) <= known:
        raise NotFound(f"There is no target {min(set(targets) - known)}.", "Add it first.")


def _missing(rule_id: int) -> Any:
    raise NotFound(f"There is no rule {rule_id}.", "python -m backend alert list")


def _show(connection: Connection) -> None:
    # Open pages watch this number.
    connection.execute(update(Progress).values(commit=Progress.commit + 1))


def _now() -> int:
    return time.time_ns() // 1_000_000
