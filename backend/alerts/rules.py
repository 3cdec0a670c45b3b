"""Rules, targets and episodes, as people change and read them."""

import dataclasses
import json
import secrets
import time
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from ..errors import NotFound, SettingsError
from ..models import Channel, Device, Progress
from ..notify.mail import check_address
from ..notify.webhook import check_url
from .episodes import Episode
from .rule import Rule
from .sentence import rule_sentence
from .tables import AlertCheckpoint, AlertMark, AlertRule, AlertTarget, EpisodeRow, NoticeRow

LONGEST_NAME = 120


@dataclasses.dataclass(frozen=True)
class RuleEntry:
    """A rule as it stands. sentence: what it says, in words."""

    id: int
    name: str
    channel: int
    device: str
    sensor: str
    unit: str
    rule: Rule
    sentence: str
    targets: tuple[int, ...]
    enabled: bool
    revision: int


@dataclasses.dataclass(frozen=True)
class EpisodeEntry:
    """An episode with what is told of it. notices: (phase, target id, outcome or None while it is under way)."""

    id: int
    rule: int
    name: str
    device: str
    sensor: str
    unit: str
    severity: str
    episode: Episode
    withdrawn_at: int | None
    acknowledged_at: int | None
    acknowledged_by: str | None
    notices: tuple[tuple[str, int, str | None], ...]


def add_target(connection: Connection, kind: str, address: str) -> tuple[int, str]:
    """Its id, and a webhook's secret, which is shown this once. Raises SettingsError."""
    if kind == "mail":
        address, secret = check_address(address), ""
    elif kind == "webhook":
        address, secret = check_url(address).geturl(), secrets.token_urlsafe(32)
    else:
        raise SettingsError(f"There is no way of telling {kind!r}.", "There are mail and webhook.")
    values = {"kind": kind, "address": address, "secret": secret, "created": _now()}
    made = connection.scalar(insert(AlertTarget).values(values).returning(AlertTarget.id))
    return int(made or 0), secret


def add_rule(connection: Connection, name: str, channel: int, rule: Rule, targets: tuple[int, ...]) -> int:
    """Its id. Raises NotFound, SettingsError."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(f"A rule's name has 1 to {LONGEST_NAME} characters in one line.")
    if connection.scalar(select(Channel.id).where(Channel.id == channel)) is None:
        raise NotFound(f"There is no channel {channel}.", "GET /api/v1/devices lists them.")
    known = set(connection.scalars(select(AlertTarget.id)))
    if not set(targets) <= known:
        raise NotFound(f"There is no target {min(set(targets) - known)}.", "Add it first.")
    values = {
        "name": name.strip(),
        "channel_id": channel,
        "body": msgspec.json.encode(rule).decode(),
        "targets": json.dumps(sorted(set(targets))),
        "enabled": True,
        "revision": 1,
        "created": _now(),
    }
    return int(connection.scalar(insert(AlertRule).values(values).returning(AlertRule.id)) or 0)


def remove_rule(connection: Connection, rule_id: int) -> None:
    """With its episodes and notices. Raises NotFound."""
    if connection.execute(select(AlertRule.id).where(AlertRule.id == rule_id)).first() is None:
        raise NotFound(f"There is no rule {rule_id}.", "python -m backend alert list")
    episodes = select(EpisodeRow.id).where(EpisodeRow.rule_id == rule_id)
    connection.execute(delete(NoticeRow).where(NoticeRow.episode_id.in_(episodes)))
    for table in (EpisodeRow, AlertMark, AlertCheckpoint):
        connection.execute(delete(table).where(table.rule_id == rule_id))
    connection.execute(delete(AlertRule).where(AlertRule.id == rule_id))


def rules(connection: Connection) -> list[RuleEntry]:
    """By name."""
    rows = connection.execute(
        select(AlertRule, Device.name.label("device"), Channel.sensor, Channel.unit)
        .join(Channel, Channel.id == AlertRule.channel_id)
        .join(Device, Device.id == Channel.device_id)
        .order_by(AlertRule.name, AlertRule.id)
    )
    return [_rule_entry(row) for row in rows]


def _rule_entry(row: Any) -> RuleEntry:
    rule = msgspec.json.decode(row.body, type=Rule)
    targets = tuple(json.loads(row.targets))
    sentence = rule_sentence(rule, row.unit)
    return RuleEntry(
        row.id, row.name, row.channel_id, row.device, row.sensor, row.unit, rule, sentence, targets, row.enabled,
        row.revision,
    )  # fmt: skip


def episodes(connection: Connection, most: int = 100, open_only: bool = False) -> list[EpisodeEntry]:
    """The newest first."""
    query = (
        select(EpisodeRow, AlertRule.name, AlertRule.body, Device.name.label("device"), Channel.sensor, Channel.unit)
        .join(AlertRule, AlertRule.id == EpisodeRow.rule_id)
        .join(Channel, Channel.id == AlertRule.channel_id)
        .join(Device, Device.id == Channel.device_id)
        .order_by(EpisodeRow.start.desc(), EpisodeRow.id.desc())
        .limit(most)
    )
    if open_only:
        query = query.where(EpisodeRow.ended.is_(None), EpisodeRow.withdrawn_at.is_(None))
    rows = connection.execute(query).all()
    told: dict[int, list[tuple[str, int, str | None]]] = {}
    for notice in connection.execute(
        select(NoticeRow).where(NoticeRow.episode_id.in_([row.id for row in rows])).order_by(NoticeRow.id)
    ):
        told.setdefault(notice.episode_id, []).append((notice.phase, notice.target_id, notice.outcome))
    return [_episode_entry(row, tuple(told.get(row.id, ()))) for row in rows]


def _episode_entry(row: Any, notices: tuple[tuple[str, int, str | None], ...]) -> EpisodeEntry:
    return EpisodeEntry(
        id=row.id,
        rule=row.rule_id,
        name=row.name,
        device=row.device,
        sensor=row.sensor,
        unit=row.unit,
        severity=msgspec.json.decode(row.body, type=Rule).severity,
        episode=Episode(row.start, row.raised, row.ended, row.peak),
        withdrawn_at=row.withdrawn_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        notices=notices,
    )


def acknowledge(connection: Connection, episode_id: int, who: str) -> None:
    """Once; who was first stands. Raises NotFound."""
    found = connection.execute(select(EpisodeRow.acknowledged_at).where(EpisodeRow.id == episode_id)).first()
    if found is None:
        raise NotFound(f"There is no episode {episode_id}.")
    connection.execute(
        update(EpisodeRow)
        .where(EpisodeRow.id == episode_id, EpisodeRow.acknowledged_at.is_(None))
        .values(acknowledged_at=_now(), acknowledged_by=who)
    )
    connection.execute(update(Progress).values(commit=Progress.commit + 1))


def _now() -> int:
    return time.time_ns() // 1_000_000
