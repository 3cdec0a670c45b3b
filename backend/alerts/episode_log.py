"""Episodes as people read them, and what people do about them: acknowledge, snooze."""

import dataclasses
import time
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, or_, select, update

from ..errors import NotFound, SettingsError
from ..models import Channel, Device, Progress
from .episodes import Episode
from .rule import DAY, Rule
from .sentence import MEASURES
from .tables import AlertRule, EpisodeRow, NoticeRow

LONGEST_SNOOZE = 7 * DAY
MOST_SNOOZES = 99


@dataclasses.dataclass(frozen=True)
class NoticeEntry:
    """One line of the delivery log. phase: raised, again, unseen or ended; outcome: None while it is under way."""

    phase: str
    target: int
    outcome: str | None
    at: int | None


@dataclasses.dataclass(frozen=True)
class EpisodeEntry:
    """An episode with what is told of it. notices: (phase, target id, outcome or None while it is under way).

    sensor, unit: of its channel, or of the measure of its device's health (channel None).
    """

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
    channel: int | None = None
    snoozed_until: int | None = None
    snoozed_by: str | None = None
    escalated_at: int | None = None
    log: tuple[NoticeEntry, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.episode.end is None and self.withdrawn_at is None

    def is_snoozed(self, now: int) -> bool:
        return self.is_open and (self.snoozed_until or 0) > now


def episodes(
    connection: Connection,
    most: int = 100,
    open_only: bool = False,
    devices: Collection[str] | None = None,
    rule: int | None = None,
    before: tuple[int, int] | None = None,
) -> list[EpisodeEntry]:
    """The newest first. devices: only of these; rule: only of this one; before: (start, id) of the last page's end."""
    query = _selected().order_by(EpisodeRow.start.desc(), EpisodeRow.id.desc()).limit(most)
    if open_only:
        query = query.where(EpisodeRow.ended.is_(None), EpisodeRow.withdrawn_at.is_(None))
    if devices is not None:
        query = query.where(Device.name.in_(devices))
    if rule is not None:
        query = query.where(EpisodeRow.rule_id == rule)
    if before is not None:
        query = query.where(
            or_(EpisodeRow.start < before[0], and_(EpisodeRow.start == before[0], EpisodeRow.id < before[1]))
        )
    return _entries(connection, connection.execute(query).all())


def episode(connection: Connection, episode_id: int) -> EpisodeEntry:
    """Raises NotFound."""
    found = _entries(connection, connection.execute(_selected().where(EpisodeRow.id == episode_id)).all())
    if not found:
        raise NotFound(f"There is no episode {episode_id}.")
    return found[0]


def acknowledge(connection: Connection, episode_id: int, who: str) -> None:
    """Once; who was first stands. Nobody is reminded or told for want of an answer after it. Raises NotFound."""
    episode(connection, episode_id)
    connection.execute(
        update(EpisodeRow)
        .where(EpisodeRow.id == episode_id, EpisodeRow.acknowledged_at.is_(None))
        .values(acknowledged_at=_now(), acknowledged_by=who[:120])
    )
    _show(connection)


def snooze(connection: Connection, episode_id: int, until: int, who: str) -> None:
    """Nobody is told anything of it until then (Unix ms), but its end; if it still lasts then, its targets are, once.

    Raises NotFound, SettingsError.
    """
    now = _now()
    if not now < until <= now + LONGEST_SNOOZE:
        raise SettingsError("An alert is snoozed until a time in the next 7 days.", "Choose another time.")
    entry = episode(connection, episode_id)
    if not entry.is_open:
        raise SettingsError("It is over: there is nothing to snooze.")
    taken = connection.execute(
        update(EpisodeRow)
        .where(EpisodeRow.id == episode_id, EpisodeRow.snoozes < MOST_SNOOZES)
        .values(snoozed_until=until, snoozed_by=who[:120], snoozes=EpisodeRow.snoozes + 1)
    )
    if not taken.rowcount:
        raise SettingsError(f"It was snoozed {MOST_SNOOZES} times.", "Acknowledge it, or change its rule.")
    _show(connection)


def _selected() -> Any:
    columns = (AlertRule.name, AlertRule.body, AlertRule.channel_id, Channel.sensor, Channel.unit)
    return (
        select(EpisodeRow, Device.name.label("device"), *columns)
        .join(AlertRule, AlertRule.id == EpisodeRow.rule_id)
        .outerjoin(Channel, Channel.id == AlertRule.channel_id)
        .join(Device, Device.id == func.coalesce(AlertRule.device_id, Channel.device_id))
    )


def _entries(connection: Connection, rows: Any) -> list[EpisodeEntry]:
    told: dict[int, list[NoticeEntry]] = {}
    for notice in connection.execute(
        select(NoticeRow).where(NoticeRow.episode_id.in_([row.id for row in rows])).order_by(NoticeRow.id)
    ):
        entry = NoticeEntry(
            notice.phase.rstrip("0123456789"), notice.target_id, notice.outcome, notice.done_at or notice.due
        )
        told.setdefault(notice.episode_id, []).append(entry)
    return [_entry(row, tuple(told.get(row.id, ()))) for row in rows]


def _entry(row: Any, log: tuple[NoticeEntry, ...]) -> EpisodeEntry:
    rule = msgspec.json.decode(row.body, type=Rule)
    sensor, unit = (row.sensor, row.unit) if row.channel_id else MEASURES.get(rule.measure, ("health", ""))
    return EpisodeEntry(
        id=row.id,
        rule=row.rule_id,
        name=row.name,
        device=row.device,
        sensor=sensor,
        unit=unit,
        severity=rule.severity,
        episode=Episode(row.start, row.raised, row.ended, row.peak),
        withdrawn_at=row.withdrawn_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        notices=tuple((entry.phase, entry.target, entry.outcome) for entry in log),
        channel=row.channel_id,
        snoozed_until=row.snoozed_until,
        snoozed_by=row.snoozed_by,
        escalated_at=row.escalated_at,
        log=log,
    )


def _show(connection: Connection) -> None:
    # Open pages watch this number.
    connection.execute(update(Progress).values(commit=Progress.commit + 1))


def _now() -> int:
    return time.time_ns() // 1_000_000
