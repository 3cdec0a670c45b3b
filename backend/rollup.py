"""Rollups: what a channel measured in 5 minutes, an hour and a day. Pure: columns of readings in, rows out."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter

MINUTES_5 = 300_000
HOUR = 3_600_000
DAY = 86_400_000
# Each is a multiple of the one before: the wider buckets are made of the narrower ones.
WIDTHS = (MINUTES_5, HOUR, DAY)

# (width, start, first, last, low, high, total, count, faults), as models.Rollup names them.
Row = tuple[int, int, int, int, float | None, float | None, float, int, int]


def rows(times: list[int], values: list[float | None]) -> list[Row]:
    """The buckets of every width that these readings fall into, with their sums.

    times: Unix ms UTC, positive, in any order; values[i] is what was measured at times[i], None for a fault.
    """
    if times != sorted(times):
        ordered = sorted(zip(times, values, strict=True), key=itemgetter(0))
        times, values = [t for t, _ in ordered], [value for _, value in ordered]
    buckets = _cut(times, values)
    found = list(buckets)
    for width in WIDTHS[1:]:
        buckets = _widen(buckets, width)
        found += buckets
    return found


def _cut(times: Sequence[int], values: Sequence[float | None]) -> list[Row]:
    """The narrowest buckets of readings that are in order of time."""
    buckets = []
    at, width = 0, WIDTHS[0]
    while at < len(times):
        start = times[at] // width * width
        end = len(times) if times[-1] < start + width else bisect_left(times, start + width, at)
        measured: Sequence[float] = [value for value in values[at:end] if value is not None]
        least, most = (min(measured), max(measured)) if measured else (None, None)
        count = len(measured)
        buckets.append(
            (width, start, times[at], times[end - 1], least, most, float(sum(measured)), count, end - at - count)
        )
        at = end
    return buckets


def _widen(buckets: list[Row], width: int) -> list[Row]:
    """Buckets of this width out of narrower ones that are in order of time."""
    wide: list[Row] = []
    for _, narrow, first, last, low, high, total, count, faults in buckets:
        start = narrow // width * width
        if wide and wide[-1][1] == start:
            _, _, earliest, _, least, most, before, counted, faulty = wide.pop()
            least, most = _both(min, low, least), _both(max, high, most)
            wide.append((width, start, earliest, last, least, most, before + total, counted + count, faulty + faults))
        else:
            wide.append((width, start, first, last, low, high, total, count, faults))
    return wide


def _both(choose: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
