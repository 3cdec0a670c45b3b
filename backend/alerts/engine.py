"""The alert engine: evaluates each rule as readings are committed, and keeps its episodes and notices in SQL.

One transaction a rule: memory, marks, episodes and notices change together or not at all, so that a restart at any
point goes on as if nothing had happened. Readings are taken in the order of their streams, up to the first hole, as
the archive takes them. Late ones (before what has been evaluated) lead back to a checkpoint, and from there on again.
"""

import dataclasses
import itertools
import json
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from ..calibration import NONE, Correction, corrections
from ..database import Database, insert_one, upsert
from ..models import Channel, Progress, Reading, Stream
from . import health
from .conditions import Sample
from .episodes import Episode, Watch, watch
from .rule import DAY, Rule
from .tables import AlertCheckpoint, AlertMark, AlertRule, EpisodeRow
from .telling import tell, tell_again

# One a day: a late reading costs a day of readings to evaluate again; one later than all, the whole history.
KEPT_DAYS = 40


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """at: time of the last sample that the memory has taken; None: none yet."""

    at: int | None
    memory: Watch


class Engine:
    def __init__(self, database: Database) -> None:
        self._database = database

    def round(self, now: int) -> int:
        """Evaluate every rule up to now (Unix ms); how many episodes changed. Raises DatabaseUnavailable."""
        with self._database.read() as connection:
            rules = connection.scalars(select(AlertRule.id).where(AlertRule.enabled).order_by(AlertRule.id)).all()
        changed = 0
        for rule_id in rules:
            with self._database.write() as connection:
                changed += Evaluation(connection, rule_id).run(now)
        return changed


class Evaluation:
    """One rule, in one transaction."""

    def __init__(self, connection: Connection, rule_id: int) -> None:
        self._connection = connection
        self._id = rule_id
        # Locked: two engines at once must not both tell of an episode.
        row = connection.execute(select(AlertRule).where(AlertRule.id == rule_id).with_for_update()).one()
        self._channel: int | None = row.channel_id
        self._device: int | None = row.device_id
        self._changed_at: int = row.changed
        self._targets: list[int] = json.loads(row.targets)
        self._revision: int = row.revision
        self._rule = msgspec.json.decode(row.body, type=Rule)
        self._correction: Correction = corrections(connection).get(row.channel_id, NONE) if row.channel_id else NONE

    def run(self, now: int) -> int:
        since = self._checkpoint()
        samples, marks = self._fresh(since)
        if samples and since.at is not None and samples[0].t <= since.at:
            since = self._checkpoint(before=samples[0].t)
            samples = self._readings(since.at)
        memory, ended = self._go_on(since, samples)
        if marks:
            rows = [{"rule_id": self._id, "stream_id": stream, "seq": seq} for stream, seq in marks.items()]
            upsert(self._connection, AlertMark, rows)
        # What lies after the last reading is told as it looks now, and thought over when the next one comes.
        tail = memory.copy()
        ended += watch(self._rule, tail, [], now)
        # A rule judged anew over readings of which the oldest have left SQL says nothing about these.
        known_from = since.at if since.at is not None else samples[0].t if samples else now
        changed = self._reconcile(ended + ([tail.open] if tail.open else []), known_from, now)
        if changed:
            # Open pages watch this number.
            self._connection.execute(update(Progress).values(commit=Progress.commit + 1))
        return changed

    def _checkpoint(self, before: int | None = None) -> Checkpoint:
        """The newest checkpoint, or the newest whose readings are all older than `before`."""
        ours = [AlertCheckpoint.rule_id == self._id, AlertCheckpoint.revision == self._revision]
        if before is not None:
            ours.append(AlertCheckpoint.at < before)
        row = self._connection.execute(
            select(AlertCheckpoint.at, AlertCheckpoint.memory)
            .where(*ours)
            .order_by(AlertCheckpoint.day.desc())
            .limit(1)
        ).first()
        if row is None:
            return Checkpoint(None, Watch())
        return Checkpoint(row.at, msgspec.json.decode(row.memory, type=Watch))

    def _fresh(self, since: Checkpoint) -> tuple[list[Sample], dict[int, int]]:
        """Readings that have not been evaluated, by time; and stream id → up to where they have been now."""
        if since.at is None:
            # A rule that is new or has changed is judged over all that is known.
            self._connection.execute(delete(AlertMark).where(AlertMark.rule_id == self._id))
        if self._device is not None:
            return health.samples(self._connection, self._device, self._rule.measure, since.at), {}
        device = select(Channel.device_id).where(Channel.id == self._channel).scalar_subquery()
        streams = self._connection.execute(
            select(Stream.id, Stream.position, AlertMark.seq)
            .outerjoin(AlertMark, and_(AlertMark.stream_id == Stream.id, AlertMark.rule_id == self._id))
            .where(Stream.device_id == device)
        ).all()
        fresh = [(id, seq or 0, position) for id, position, seq in streams if position > (seq or 0)]
        if not fresh:
            return [], {}
        spans = [and_(Reading.stream_id == id, Reading.seq > seq, Reading.seq <= upto) for id, seq, upto in fresh]
        return self._samples(or_(*spans)), {id: upto for id, _, upto in fresh}

    def _readings(self, since: int | None) -> list[Sample]:
        """All readings after a time that lie before their stream's first hole."""
        known = Reading.seq <= select(Stream.position).where(Stream.id == Reading.stream_id).scalar_subquery()
        return self._samples(known if since is None else and_(known, Reading.t > since))

    def _samples(self, which: Any) -> list[Sample]:
        rows = self._connection.execute(
            select(Reading.t, Reading.value)
            .where(Reading.channel_id == self._channel, which)
            .order_by(Reading.t, Reading.stream_id, Reading.seq)
        )
        return [Sample(t, self._correction.apply(value)) for t, value in rows]

    def _go_on(self, since: Checkpoint, samples: list[Sample]) -> tuple[Watch, list[Episode]]:
        """Evaluate, leaving a checkpoint a day; the memory at the end, and the episodes that ended."""
        memory, ended, left = since.memory.copy(), [], []
        for day, group in itertools.groupby(samples, key=lambda sample: sample.t // DAY):
            part = list(group)
            ended += watch(self._rule, memory, part, part[-1].t)
            row = {"rule_id": self._id, "day": day, "revision": self._revision, "at": part[-1].t}
            left.append({**row, "memory": msgspec.json.encode(memory)})
        if left:
            days = AlertCheckpoint.day
            outdated = or_(days >= left[0]["day"], days <= left[-1]["day"] - KEPT_DAYS)
            self._connection.execute(delete(AlertCheckpoint).where(AlertCheckpoint.rule_id == self._id, outdated))
            self._connection.execute(insert(AlertCheckpoint), left[-KEPT_DAYS:])
        return memory, ended

    def _reconcile(self, found: list[Episode], since: int, now: int) -> int:
        """Make SQL's episodes from `since` on those that were found: amend what overlaps, add, withdraw."""
        where = [EpisodeRow.rule_id == self._id, EpisodeRow.withdrawn_at.is_(None)]
        where.append(or_(EpisodeRow.ended.is_(None), EpisodeRow.ended >= since))
        kept = list(self._connection.execute(select(EpisodeRow).where(*where).order_by(EpisodeRow.start)))
        changed = 0
        for episode in found:
            row = next((row for row in kept if _overlap(row, episode)), None)
            if row is None:
                changed += 1
                self._add(episode, now)
                continue
            kept.remove(row)
            if any(getattr(row, name) != value for name, value in _columns(episode).items()):
                changed += 1
                self._change(row.id, _columns(episode))
            if episode.end is not None:
                tell_again(self._connection, row.id, "ended", now)
        for row in kept:
            changed += 1
            self._change(row.id, {"withdrawn_at": now, "ended": row.ended if row.ended is not None else now})
            tell_again(self._connection, row.id, "ended", now)
        return changed

    def _add(self, episode: Episode, now: int) -> None:
        values = {"rule_id": self._id, "noticed_at": now, **_columns(episode)}
        made = insert_one(self._connection, EpisodeRow, values)
        if episode.end is not None and episode.end <= self._changed_at:
            # It was over before anybody asked: history, and nobody's alarm.
            return
        tell(self._connection, made, "raised", self._targets, now)
        if episode.end is not None:
            tell_again(self._connection, made, "ended", now)

    def _change(self, episode_id: int, values: dict[str, Any]) -> None:
        self._connection.execute(update(EpisodeRow).where(EpisodeRow.id == episode_id).values(values))


def _columns(episode: Episode) -> dict[str, Any]:
    return {"start": episode.start, "raised": episode.raised, "ended": episode.end, "peak": episode.peak}


def _overlap(row: Any, episode: Episode) -> bool:
    row_end = row.ended if row.ended is not None else float("inf")
    end = episode.end if episode.end is not None else float("inf")
    return bool(row.start <= end and episode.start <= row_end)
