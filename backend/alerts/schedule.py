"""When a rule is in force: hours of the week in a time zone. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from ..errors import InputRefused, SettingsError
from ..time_zone import time_zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Schedule:
    """zone: an IANA name. days: 0 is Monday. start, end: minutes of the local day; end <= start runs past midnight."""

    zone: str
    days: tuple[int, ...]
    start: int
    end: int

    def __post_init__(self) -> None:
        try:
            time_zone(self.zone)
        except InputRefused as error:
            raise SettingsError(*error.args) from None
        if not self.days or not set(self.days) <= set(range(7)):
            raise SettingsError("A schedule needs at least one day of the week.", f"Days are {', '.join(DAYS)}.")
        if not (0 <= self.start < 1440 and 0 <= self.end <= 1440):
            raise SettingsError("A schedule's hours lie between 00:00 and 24:00.", "Write them as 08:00 and 18:30.")

    def spans(self, since: int, until: int) -> Iterator[tuple[int, int]]:
        """The spans in force between two Unix times in ms, in order, disjoint, cut at both ends."""
        zone = time_zone(self.zone)
        day = datetime.fromtimestamp(since / 1000, zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(until / 1000, zone).date()
        reached = since
        while day <= last:
            if day.weekday() in self.days:
                length = (self.end - self.start) % 1440 or 1440
                first = _unix_ms(day, self.start, zone)
                # Hours of the wall clock, also on the day that the clock is changed.
                end_minute = self.start + length
                end = _unix_ms(day + timedelta(days=end_minute // 1440), end_minute % 1440, zone)
                first, end = max(first, reached), min(end, until)
                if first < end:
                    yield first, end
                    reached = end
            day += timedelta(days=1)

    def __str__(self) -> str:
        """As parse() takes it: "mon,tue 08:00-18:30 Europe/Berlin"."""
        days = ",".join(DAYS[day] for day in sorted(set(self.days)))
        return f"{days} {_clock(self.start)}-{_clock(self.end)} {self.zone}"


def parse(text: str) -> Schedule:
    """A schedule written as "mon-fri 08:00-18:30 Europe/Berlin", days also as "sat,sun". Raises SettingsError."""
    found = re.fullmatch(r"\s*([a-z,-]+)\s+(\d\d?):(\d\d)-(\d\d?):(\d\d)\s+([A-Za-z0-9_+/-]{1,64})\s*", text)
    if not found or not {int(found[3]), int(found[5])} <= set(range(60)):
        raise SettingsError(f"{text[:80]!r} is no schedule.", "Write it as: mon-fri 08:00-18:30 Europe/Berlin")
    days, start_hour, start, end_hour, end, zone = found.groups()
    minutes = int(start_hour) * 60 + int(start), int(end_hour) * 60 + int(end)
    return Schedule(zone, tuple(sorted(set(_days(days)))), *minutes)


def _days(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise SettingsError(f"{part!r} is no day of the week.", f"Days are {', '.join(DAYS)}.")
        day, end = DAYS.index(first), DAYS.index(last or first)
        yield day
        while day != end:
            day = (day + 1) % 7
            yield day


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _unix_ms(day: date, minute: int, zone: tzinfo) -> int:
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    return int(local.astimezone(UTC).timestamp() * 1000)
