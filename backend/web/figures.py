"""What a channel's chart is told besides its points: statistics of a range, gaps, episodes and marks.

Times are Unix ms UTC, values in the channel's unit, corrected by its calibration.
"""

import dataclasses
from typing import Any

from sqlalchemy import Connection, or_, select

from .. import calibration, queries
from ..alerts.tables import AlertRule, EpisodeRow
from ..device_notes import updates
from ..exposure import ACTIVATION_ENERGY, Exposure, exposure, mean_kinetic_temperature
from ..models import Calibration
from ..objects import ObjectStore
from ..rollup import HOUR, MINUTES_5

# Up to so many readings are looked at one by one; beyond, means of five minutes or an hour stand for them.
ONE_BY_ONE = 50_000
MONTH = 31 * 24 * HOUR
MOST_EPISODES = 500


@dataclasses.dataclass(frozen=True)
class Range:
    """A channel's readings of since <= t < until. hold: ms that a value lasts at most when no other one follows."""

    channel: int
    unit: str
    since: int
    until: int
    hold: int


def statistics(
    connection: Connection, asked: Range, low: float | None, high: float | None, store: ObjectStore | None
) -> dict[str, Any]:
    """Of the whole range. `step` says what mkt is made of: 0 of every reading, else of means of so many ms.

    outside is None where there is no limit, or where there are too many readings to look at each.
    """
    whole = queries.series(connection, asked.channel, asked.since, asked.until, 1, store)
    if not whole:
        return {"values": 0, "faults": 0}
    (total,) = whole
    found: dict[str, Any] = {
        "values": total.values, "faults": total.faults, "min": total.min, "mean": total.mean, "max": total.max
    }  # fmt: skip
    samples: list[tuple[int, float | None]] | None = None
    if total.values + total.faults <= ONE_BY_ONE:
        correct = calibration.corrections(connection).get(asked.channel, calibration.NONE).apply
        rows = queries.readings(connection, asked.channel, asked.since - asked.hold, asked.until, store)
        samples = [(row.t, correct(row.value)) for row in rows]
    if asked.unit == "Cel":
        found["mkt"], found["step"] = _mean_kinetic(connection, asked, samples, store)
        found["activation_energy"] = ACTIVATION_ENERGY
    if samples is not None and (low is not None or high is not None):
        found["outside"] = dataclasses.asdict(_exposure(asked, samples, low, high))
    return found


def _mean_kinetic(
    connection: Connection,
    asked: Range,
    samples: list[tuple[int, float | None]] | None,
    store: ObjectStore | None,
) -> tuple[float | None, int]:
    if samples is not None:
        return mean_kinetic_temperature([value for t, value in samples if value is not None and t >= asked.since]), 0
    step = MINUTES_5 if asked.until - asked.since <= MONTH else HOUR
    buckets = queries.series(
        connection, asked.channel, asked.since, asked.until, -(-(asked.until - asked.since) // step) + 1, store
    )
    known = [(bucket.mean, bucket.values) for bucket in buckets if bucket.mean is not None]
    return mean_kinetic_temperature([mean for mean, _ in known], [values for _, values in known]), step


def _exposure(asked: Range, samples: list[tuple[int, float | None]], low: float | None, high: float | None) -> Exposure:
    return exposure(samples, asked.since, asked.until, asked.hold, low, high)


def gaps(connection: Connection, asked: Range) -> list[dict[str, Any]]:
    """Readings that will never come, where they would have been; begin and end are None where SQL has no neighbour."""
    return [
        {**dataclasses.asdict(gap), "readings": gap.last - gap.first + 1}
        for gap in queries.gap_spans(connection, asked.channel, asked.since, asked.until)
    ]


def episodes(connection: Connection, asked: Range) -> list[dict[str, Any]]:
    """Of the channel's rules, withdrawn ones left out, the newest first."""
    rows = connection.execute(
        select(
            EpisodeRow.id, AlertRule.name, EpisodeRow.start, EpisodeRow.ended, EpisodeRow.peak,
            EpisodeRow.acknowledged_by,
        )
        .join(AlertRule, AlertRule.id == EpisodeRow.rule_id)
        .where(AlertRule.channel_id == asked.channel, EpisodeRow.withdrawn_at.is_(None))
        .where(EpisodeRow.start < asked.until, or_(EpisodeRow.ended.is_(None), EpisodeRow.ended >= asked.since))
        .order_by(EpisodeRow.start.desc())
        .limit(MOST_EPISODES)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def marks(connection: Connection, asked: Range) -> list[dict[str, Any]]:
    """What was changed: {t, text}, the oldest first."""
    rows = connection.execute(
        select(Calibration.revision, Calibration.gain, Calibration.offset, Calibration.created)
        .where(Calibration.channel_id == asked.channel)
        .where(Calibration.created >= asked.since, Calibration.created < asked.until)
    )
    found = [
        (created, f"Calibration r{revision}: {gain:g} times the value {offset:+g}")
        for revision, gain, offset, created in rows
    ]
    found += updates(connection, asked.channel, asked.since, asked.until)
    return [{"t": t, "text": text} for t, text in sorted(found)]
