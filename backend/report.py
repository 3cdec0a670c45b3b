"""An excursion report: all that is known of a device's channels in a range of time, to be filed as evidence.

The same inputs give the same report: it holds no time and no name but those it is given. Times are Unix ms UTC.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from . import buckets, calibration, exposure, history, ledger
from .alerts import episode_log, rules
from .alerts.episode_log import EpisodeEntry
from .alerts.rules import RuleEntry
from .buckets import Bucket
from .errors import InputRefused, NotFound
from .exposure import ACTIVATION_ENERGY, Exposure
from .history import GapSpan
from .hot_window import day_of
from .ledger import StreamLedger
from .models import Batch, BatchSpan, Channel, Device, Stream
from .objects import ObjectStore

BUCKETS = 400
HOLD = 900_000
LONGEST = 400 * 86_400_000
MOST_EPISODES = 10_000


@dataclasses.dataclass(frozen=True)
class Asked:
    """What to report: a device from `since` to `until`; sensor: only channels of this one, "" all; made_by, made_at."""

    device: str
    since: int
    until: int
    made_by: str
    made_at: int
    sensor: str = ""


@dataclasses.dataclass(frozen=True)
class Statistics:
    """min_t, max_t: when these were measured first. mean is of the readings, mkt (°C, weighted by time) of Cel only."""

    readings: int
    faults: int
    min: float | None = None
    min_t: int | None = None
    max: float | None = None
    max_t: int | None = None
    mean: float | None = None
    mkt: float | None = None


@dataclasses.dataclass(frozen=True)
class RuleExposure:
    """Time beyond the limit of one rule, as it stands now, and its episodes in the range."""

    rule: RuleEntry
    exposure: Exposure
    episodes: tuple[EpisodeEntry, ...]


@dataclasses.dataclass(frozen=True)
class ChannelReport:
    """One channel. exposure: against the tightest limits of its rules (low, high), which may be none."""

    sensor: str
    unit: str
    revision: int
    gain: float
    offset: float
    statistics: Statistics
    low: float | None
    high: float | None
    hold: int
    exposure: Exposure
    rules: tuple[RuleExposure, ...]
    gaps: tuple[GapSpan, ...]
    buckets: tuple[Bucket, ...]


@dataclasses.dataclass(frozen=True)
class ObjectEntry:
    """An archive object that holds readings of the device of days in the range."""

    key: str
    sha256: str
    rows: int
    state: str


@dataclasses.dataclass(frozen=True)
class Report:
    asked: Asked
    label: str
    place: str
    channels: tuple[ChannelReport, ...]
    ledger: tuple[StreamLedger, ...]
    objects: tuple[ObjectEntry, ...]
    activation_energy: float = ACTIVATION_ENERGY


def gather(connection: Connection, store: ObjectStore | None, asked: Asked) -> Report:
    """store: where readings are that have left SQL. Raises NotFound, InputRefused, ObjectStoreUnavailable."""
    if not 0 < asked.until - asked.since <= LONGEST:
        raise InputRefused("A report is of more than nothing and at most 400 days.", "Choose another range.")
    device = connection.execute(select(Device).where(Device.name == asked.device)).one_or_none()
    if device is None:
        raise NotFound(f"There is no device {asked.device}.")
    query = select(Channel.id, Channel.sensor, Channel.unit).where(Channel.device_id == device.id).order_by(Channel.id)
    channels = [row for row in connection.execute(query) if asked.sensor in ("", row.sensor)]
    if not channels:
        raise NotFound(f"{asked.device} has no channel {asked.sensor}.".replace("  ", " "))
    watched = [entry for entry in rules.rules(connection, {asked.device}) if entry.rule.kind in ("high", "low")]
    found = [_channel(connection, store, asked, row, watched) for row in channels]
    streams = ledger.read(connection, asked.device)
    objects = _objects(connection, device.id, asked)
    return Report(asked, device.label or "", device.place or "", tuple(found), tuple(streams), tuple(objects))


def _channel(
    connection: Connection, store: ObjectStore | None, asked: Asked, channel: Any, watched: Sequence[RuleEntry]
) -> ChannelReport:
    correction = calibration.corrections(connection).get(channel.id, calibration.NONE)
    ours = [entry for entry in watched if entry.channel == channel.id]
    hold = min((entry.rule.hold for entry in ours), default=HOLD)
    # One from before tells how the range began.
    samples = [
        (row.t, correction.apply(row.value))
        for row in history.readings(connection, channel.id, asked.since - hold, asked.until, store)
    ]
    low = max((entry.rule.limit for entry in ours if entry.rule.kind == "low"), default=None)
    high = min((entry.rule.limit for entry in ours if entry.rule.kind == "high"), default=None)
    return ChannelReport(
        sensor=channel.sensor,
        unit=channel.unit,
        revision=correction.revision,
        gain=correction.gain,
        offset=correction.offset,
        statistics=_statistics(asked, samples, hold, channel.unit),
        low=low,
        high=high,
        hold=hold,
        exposure=exposure.exposure(samples, asked.since, asked.until, hold, low, high),
        rules=tuple(_rule(connection, asked, entry, samples) for entry in ours),
        gaps=tuple(history.gap_spans(connection, channel.id, asked.since, asked.until)),
        buckets=tuple(buckets.series(connection, channel.id, asked.since, asked.until, BUCKETS, store)),
    )


def _statistics(asked: Asked, samples: list[tuple[int, float | None]], hold: int, unit: str) -> Statistics:
    within = [(t, value) for t, value in samples if asked.since <= t]
    known = [(t, value) for t, value in within if value is not None]
    if not known:
        return Statistics(len(within), len(within))
    low, high = min(known, key=_value), max(known, key=_value)
    values, weights = _lasting(samples, asked, hold)
    mkt = exposure.mean_kinetic_temperature(values, weights) if unit == "Cel" else None
    mean = sum(value for _, value in known) / len(known)
    return Statistics(len(within), len(within) - len(known), low[1], low[0], high[1], high[0], mean, mkt)


def _value(sample: tuple[int, float]) -> float:
    return sample[1]


def _lasting(samples: list[tuple[int, float | None]], asked: Asked, hold: int) -> tuple[list[float], list[float]]:
    """Values with how long each lasted within the range, in ms."""
    values, weights = [], []
    for number, (t, value) in enumerate(samples):
        after = samples[number + 1][0] if number + 1 < len(samples) else asked.until
        lasted = min(after, t + hold, asked.until) - max(t, asked.since)
        if value is not None and lasted > 0:
            values.append(value)
            weights.append(float(lasted))
    return values, weights


def _rule(
    connection: Connection, asked: Asked, entry: RuleEntry, samples: list[tuple[int, float | None]]
) -> RuleExposure:
    low = entry.rule.limit if entry.rule.kind == "low" else None
    high = entry.rule.limit if entry.rule.kind == "high" else None
    found = exposure.exposure(samples, asked.since, asked.until, entry.rule.hold, low, high)
    episodes = [
        one
        for one in episode_log.episodes(connection, MOST_EPISODES, rule=entry.id)
        if one.withdrawn_at is None
        and one.episode.start < asked.until
        and (one.episode.end is None or one.episode.end > asked.since)
    ]
    return RuleExposure(entry, found, tuple(reversed(episodes)))


def _objects(connection: Connection, device_id: int, asked: Asked) -> list[ObjectEntry]:
    of_device = (
        select(BatchSpan.batch_id).join(Stream, Stream.id == BatchSpan.stream_id).where(Stream.device_id == device_id)
    )
    rows = connection.execute(
        select(Batch.key, Batch.sha256, Batch.rows, Batch.uploaded_at)
        .where(Batch.day >= day_of(asked.since), Batch.day <= day_of(asked.until - 1), Batch.id.in_(of_device))
        .order_by(Batch.day, Batch.key)
    )
    return [ObjectEntry(key, sha256, rows, "frozen" if at is None else "uploaded") for key, sha256, rows, at in rows]
