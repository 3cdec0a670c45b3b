"""Delivers notices, each once.

A mail that may have been handed over is never handed over again: that it was begun is committed before. If we die in
between, its outcome says that it may or may not have arrived. A webhook is repeated with the same Idempotency-Key.
"""

import logging
from typing import Any

import msgspec
from sqlalchemy import Select, func, or_, select, update

from ..database import Database
from ..errors import DeliveryFailed, ThermographError
from ..models import Channel, Device
from ..notify import ways
from ..notify.notice import Notice
from ..settings import Settings
from .episodes import Episode
from .rule import Rule
from .sentence import MEASURES, Subject, moment, story, title
from .tables import AlertRule, AlertTarget, EpisodeRow, NoticeRow

log = logging.getLogger(__name__)

FIRST_RETRY = 10_000
LONGEST_RETRY = 3_600_000
ATTEMPTS = 30  # with these delays about a day
UNKNOWN = "ended while it was being handed over: it may or may not have arrived"


class Delivery:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._ways = ways.Ways(settings)

    def recover(self, now: int) -> None:
        """At start: what a former process had begun and not finished is told as unknown."""
        with self._database.write() as connection:
            connection.execute(
                update(NoticeRow)
                .where(NoticeRow.begun_at.is_not(None), NoticeRow.done_at.is_(None))
                .values(done_at=now, outcome=UNKNOWN)
            )

    def round(self, now: int) -> int:
        """Deliver what is due; how many were. Raises DatabaseUnavailable."""
        with self._database.read() as connection:
            due = connection.execute(_due(now)).all()
        return sum(self._deliver(row, now) for row in due)

    def _deliver(self, row: Any, now: int) -> bool:
        try:
            notice = _notice(row)
            if row.kind in ways.ONCE:
                self._note(row.id, begun_at=now)
            self._ways.tell(row.kind, row.address, row.secret, notice)
        except DeliveryFailed as error:
            self._failed(row, error.message, error.lasting, now)
            return False
        except ThermographError as error:
            self._failed(row, error.message, True, now)
            return False
        self._note(row.id, done_at=now, attempts=row.attempts + 1, outcome="delivered")
        return True

    def _failed(self, row: Any, reason: str, lasting: bool, now: int) -> None:
        attempts = row.attempts + 1
        log.warning("notice %d to %s %d: %s", row.id, row.kind, row.target_id, reason)
        if lasting or attempts >= ATTEMPTS:
            self._note(row.id, done_at=now, attempts=attempts, outcome=f"failed: {reason}")
        else:
            due = now + min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY)
            self._note(row.id, begun_at=None, attempts=attempts, due=due, outcome=f"to be tried again: {reason}")

    def _note(self, notice_id: int, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(NoticeRow).where(NoticeRow.id == notice_id).values(values))


def _due(now: int) -> Select[*tuple[Any, ...]]:
    columns = (
        NoticeRow.id,
        NoticeRow.phase,
        NoticeRow.target_id,
        NoticeRow.attempts,
        AlertTarget.kind,
        AlertTarget.address,
        AlertTarget.secret,
        AlertRule.id.label("rule_id"),
        AlertRule.name,
        AlertRule.body,
        Device.name.label("device"),
        Channel.sensor,
        Channel.unit,
        EpisodeRow.id.label("episode_id"),
        EpisodeRow.start,
        EpisodeRow.raised,
        EpisodeRow.ended,
        EpisodeRow.peak,
        EpisodeRow.withdrawn_at,
    )
    return (
        select(*columns)
        .join(AlertTarget, AlertTarget.id == NoticeRow.target_id)
        .join(EpisodeRow, EpisodeRow.id == NoticeRow.episode_id)
        .join(AlertRule, AlertRule.id == EpisodeRow.rule_id)
        .outerjoin(Channel, Channel.id == AlertRule.channel_id)
        .join(Device, Device.id == func.coalesce(AlertRule.device_id, Channel.device_id))
        .where(NoticeRow.done_at.is_(None), NoticeRow.begun_at.is_(None), NoticeRow.due <= now)
        .where(AlertTarget.removed_at.is_(None))
        # A snooze holds back everything but the end.
        .where(or_(NoticeRow.phase == "ended", func.coalesce(EpisodeRow.snoozed_until, 0) <= now))
        # The end of an episode is not told before its start.
        .order_by(NoticeRow.id)
        .limit(100)
    )


def _notice(row: Any) -> Notice:
    rule = msgspec.json.decode(row.body, type=Rule)
    subject = Subject(row.device, *((row.sensor, row.unit) if row.sensor else MEASURES[rule.measure]))
    episode = Episode(row.start, row.raised, row.ended, row.peak)
    withdrawn = row.withdrawn_at is not None
    phase = row.phase.rstrip("0123456789")
    return Notice(
        id=f"episode-{row.episode_id}-{row.phase}-{row.target_id}",
        phase=phase,
        severity=rule.severity,
        device=subject.device,
        sensor=subject.sensor,
        title=title(row.name, rule, subject, phase, withdrawn),
        text=story(rule, subject, episode, withdrawn),
        start=moment(row.start),
        at=moment(row.ended or row.raised if phase == "ended" else row.raised),
        rule=row.rule_id,
        name=row.name,
    )
