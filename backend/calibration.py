"""Calibrations: how far a sensor is off. What was measured is kept as it was; a calibration is applied when it is read.

Each has a revision of its own channel; the newest counts, for all of the channel's readings, and none is ever deleted.
"""

import functools
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, insert, select, update

from .errors import NotFound, SettingsError
from .models import Calibration, Channel, Device, Newest, Progress


@dataclass(frozen=True)
class Correction:
    """corrected = gain * raw + offset, in the channel's unit. revision 0: none was ever made."""

    revision: int = 0
    gain: float = 1.0
    offset: float = 0.0

    def apply(self, raw: float | None) -> float | None:
        """The corrected value; None (a fault) stays None."""
        return raw if raw is None or not self.revision else self.gain * raw + self.offset


NONE = Correction()


def corrections(connection: Connection) -> dict[int, Correction]:
    """channel id → its newest correction, for the channels that have one."""
    rows = connection.execute(_newest())
    return {channel_id: Correction(revision, gain, offset) for channel_id, revision, gain, offset in rows}


@functools.cache
def _newest() -> Select[int, int, float, float]:
    newest = (
        select(Calibration.channel_id, func.max(Calibration.revision).label("revision"))
        .group_by(Calibration.channel_id)
        .subquery()
    )
    return select(Calibration.channel_id, Calibration.revision, Calibration.gain, Calibration.offset).join(
        newest, (newest.c.channel_id == Calibration.channel_id) & (newest.c.revision == Calibration.revision)
    )


def calibrate(connection: Connection, device: str, sensor: str, unit: str, gain: float, offset: float) -> Correction:
    """Make the channel's next revision. Raises NotFound, SettingsError."""
    # NaN is not above 0 either. A gain of 0 or less would turn minimum and maximum round.
    if not 0.01 <= gain <= 100 or not -1e6 <= offset <= 1e6:
        raise SettingsError(f"A gain of {gain} and an offset of {offset} make no calibration.", "A gain is about 1.")
    channel_id = connection.scalar(
        select(Channel.id)
        .join(Device, Device.id == Channel.device_id)
        .where(Device.name == device, Channel.sensor == sensor, Channel.unit == unit)
    )
    if channel_id is None:
        raise NotFound(f"There is no channel {sensor} {unit} of a device {device}.", "The page lists the channels.")
    last = select(func.coalesce(func.max(Calibration.revision), 0)).where(Calibration.channel_id == channel_id)
    made = Correction(connection.execute(last).scalar_one() + 1, gain, offset)
    connection.execute(
        insert(Calibration),
        {"channel_id": channel_id, **vars(made), "created": time.time_ns() // 1_000_000},
    )
    # The channel's newest value changed for everyone who looks at it.
    connection.execute(update(Progress).values(commit=Progress.commit + 1))
    number = connection.execute(select(Progress.commit)).scalar_one()
    connection.execute(update(Newest).where(Newest.channel_id == channel_id).values(commit=number))
    return made
