"""What a rule would have found in the last days: the engine's own pure part over the readings that SQL has."""

import dataclasses

from sqlalchemy import Connection, select

from ..calibration import NONE, corrections
from ..errors import NotFound
from ..models import Device, Reading, Stream
from . import health
from .conditions import Sample
from .episodes import Episode, Watch, watch
from .rule import DAY, Rule
from .sentence import lasting


@dataclasses.dataclass(frozen=True)
class Preview:
    """episodes: those raised in the last `days`, oldest first. samples: how many were looked at."""

    days: int
    episodes: tuple[Episode, ...]
    samples: int

    @property
    def sentence(self) -> str:
        if not self.samples:
            return f"There is no reading of the last {self.days} days to try it on."
        count = len(self.episodes)
        times = {0: "not once", 1: "once"}.get(count, f"{count} times")
        longest = max((one.end - one.start for one in self.episodes if one.end is not None), default=0)
        more = f", the longest for {lasting(longest)}" if longest else ""
        still = "; it would be on now" if any(one.end is None for one in self.episodes) else ""
        return f"Would have fired {times} in the last {self.days} days{more}{still}."


def preview(
    connection: Connection, rule: Rule, channel: int | None, device: str | None, now: int, days: int = 7
) -> Preview:
    """Of a channel (id), or of a device's (name) health. Raises NotFound."""
    since = now - days * DAY
    # What an exposure that reaches into these days began with.
    before = since - max(rule.window, rule.duration, rule.hold, int(rule.limit) if rule.kind == "silent" else 0)
    found = _samples(connection, rule, channel, device, before, now)
    memory = Watch()
    episodes = watch(rule, memory, found, now)
    episodes += [memory.open] if memory.open else []
    return Preview(days, tuple(one for one in episodes if one.raised >= since), len(found))


def _samples(
    connection: Connection, rule: Rule, channel: int | None, device: str | None, since: int, until: int
) -> list[Sample]:
    if rule.measure != "reading":
        device_id = connection.scalar(select(Device.id).where(Device.name == device))
        if device_id is None:
            raise NotFound(f"There is no device {device}.")
        return [one for one in health.samples(connection, device_id, rule.measure, since) if one.t <= until]
    correction = corrections(connection).get(channel or 0, NONE)
    rows = connection.execute(
        select(Reading.t, Reading.value)
        .join(Stream, Stream.id == Reading.stream_id)
        .where(Reading.channel_id == channel, Reading.t > since, Reading.t <= until, Reading.seq <= Stream.position)
        .order_by(Reading.t, Reading.stream_id, Reading.seq)
    )
    return [Sample(t, correction.apply(value)) for t, value in rows]
