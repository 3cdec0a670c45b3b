"""Which notices there are to be: each phase of an episode to each target at most once, whoever asks and how often.

What has no acknowledgement is followed up here: told again when a snooze is over, told to further targets when nobody
has answered. What was decided is noted in the same transaction as the notices, so that a restart decides nothing twice.
"""

import json

from sqlalchemy import Connection, Select, and_, func, or_, select, update

from ..database import Database, add_missing
from ..models import Progress
from .tables import AlertRule, AlertTarget, EpisodeRow, NoticeRow


def tell(connection: Connection, episode_id: int, phase: str, targets: list[int], now: int) -> None:
    """One notice to each target that there still is; what has been told once is not told again."""
    there = connection.scalars(
        select(AlertTarget.id).where(AlertTarget.id.in_(targets), AlertTarget.removed_at.is_(None))
    ).all()
    rows = [
        {"episode_id": episode_id, "phase": phase, "target_id": target, "due": now, "attempts": 0}
        for target in sorted(there)
    ]
    if rows:
        add_missing(connection, NoticeRow, rows)


def tell_again(connection: Connection, episode_id: int, phase: str, now: int) -> None:
    """To all who were told of the episode before."""
    told = connection.scalars(select(NoticeRow.target_id).where(NoticeRow.episode_id == episode_id).distinct()).all()
    tell(connection, episode_id, phase, list(told), now)


def follow_up(database: Database, now: int) -> int:
    """Remind and escalate where it is time to (Unix ms); how many episodes. Raises DatabaseUnavailable."""
    with database.read() as connection:
        due = connection.scalars(_due(now)).all()
    return sum(_follow(database, episode_id, now) for episode_id in due)


def _follow(database: Database, episode_id: int, now: int) -> bool:
    with database.write() as connection:
        # Locked, and asked again: somebody may have acknowledged it, or another service may be at it.
        connection.execute(select(EpisodeRow.id).where(EpisodeRow.id == episode_id).with_for_update())
        if connection.scalar(_due(now).where(EpisodeRow.id == episode_id)) is None:
            return False
        row = connection.execute(
            select(EpisodeRow, AlertRule.targets, AlertRule.escalate_after, AlertRule.escalate_to)
            .join(AlertRule, AlertRule.id == EpisodeRow.rule_id)
            .where(EpisodeRow.id == episode_id)
        ).one()
        values: dict[str, int] = {}
        if row.snoozes > row.reminded:
            tell(connection, episode_id, f"again{row.snoozes}", json.loads(row.targets), now)
            values["reminded"] = row.snoozes
        since = max(row.noticed_at, row.snoozed_until or 0)
        if row.escalate_after and row.escalated_at is None and since + row.escalate_after <= now:
            tell(connection, episode_id, "unseen", json.loads(row.escalate_to), now)
            values["escalated_at"] = now
        connection.execute(update(EpisodeRow).where(EpisodeRow.id == episode_id).values(values))
        connection.execute(update(Progress).values(commit=Progress.commit + 1))
    return True


def _due(now: int) -> Select[int]:
    """Episodes that last, that nobody acknowledged or snoozes, and of which there is something more to tell."""
    snoozed = func.coalesce(EpisodeRow.snoozed_until, 0)
    remind = EpisodeRow.snoozes > EpisodeRow.reminded
    answered_by = AlertRule.escalate_after + EpisodeRow.noticed_at
    after_snooze = AlertRule.escalate_after + snoozed
    escalate = and_(
        AlertRule.escalate_after > 0, EpisodeRow.escalated_at.is_(None), answered_by <= now, after_snooze <= now
    )
    return (
        select(EpisodeRow.id)
        .join(AlertRule, AlertRule.id == EpisodeRow.rule_id)
        .where(EpisodeRow.ended.is_(None), EpisodeRow.withdrawn_at.is_(None), EpisodeRow.acknowledged_at.is_(None))
        .where(snoozed <= now, or_(remind, escalate))
        .order_by(EpisodeRow.id)
    )
