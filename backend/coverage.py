"""Which seq of a stream are accounted for: disjoint spans, each stored (cause None) or a gap with its cause. Pure.

The first account of a seq stands: what is claimed again is a duplicate, whatever it says.
"""

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Run:
    """Readings from seq first to last, both included."""

    first: int
    last: int
    cause: str | None = None


class Coverage:
    """The runs of one stream from `position` on, and the changes made to them since they were read."""

    def __init__(self, runs: list[Run], position: int) -> None:
        self._runs = sorted(runs)
        self.position = position
        self._before = frozenset(self._runs)
        self._claimed = False
        self._in_order = self._is_in_order()

    def extend(self, first: int, last: int) -> bool:
        """Account for stored readings that come right after all others: almost every message there is.

        False, and nothing done, when they are not such: then claim() knows what to do.
        """
        if not self._in_order or first != self.position + 1:
            return False
        self.position = last
        return True

    def claim(self, first: int, last: int, cause: str | None = None) -> list[tuple[int, int]]:
        """Account for first..last as far as they are not yet; the parts that were new, as (first, last)."""
        self._settle()
        self._claimed = True
        new = self._uncovered(max(first, self.position + 1), last)
        for part in new:
            self._insert(Run(*part, cause))
        self._advance()
        self._in_order = self._is_in_order()
        return new

    @property
    def runs(self) -> list[Run]:
        self._settle()
        return self._runs

    def _is_in_order(self) -> bool:
        """Whether the last run is a stored one that ends at the position: then the next one only makes it longer."""
        return bool(self._runs) and self._runs[-1].last == self.position and self._runs[-1].cause is None

    def _settle(self) -> None:
        """Write down what extend() has put off."""
        if self._in_order and self._runs[-1].last < self.position:
            self._runs[-1] = Run(self._runs[-1].first, self.position)

    def _uncovered(self, first: int, last: int) -> list[tuple[int, int]]:
        parts = []
        for run in self._runs:
            if run.last < first:
                continue
            if run.first > last:
                break
            if run.first > first:
                parts.append((first, run.first - 1))
            first = run.last + 1
        if first <= last:
            parts.append((first, last))
        return parts

    def _insert(self, run: Run) -> None:
        """Put run in its place, joined to neighbours of the same cause."""
        at = bisect_left(self._runs, run)
        first, last = run.first, run.last
        if at < len(self._runs) and self._runs[at].first == last + 1 and self._runs[at].cause == run.cause:
            last = self._runs.pop(at).last
        if at and self._runs[at - 1].last == first - 1 and self._runs[at - 1].cause == run.cause:
            at -= 1
            first = self._runs.pop(at).first
        self._runs.insert(at, Run(first, last, run.cause))

    def _advance(self) -> None:
        for run in self._runs:
            if run.first > self.position + 1:
                break
            self.position = max(self.position, run.last)

    def changes(self) -> tuple[list[Run], list[int]]:
        """Since they were read: runs that are new or have grown, and the firsts of those that are no more."""
        if not self._claimed:
            grown = self._in_order and self.runs[-1] not in self._before
            return self.runs[-1:] if grown else [], []
        after = set(self.runs)
        firsts = {run.first for run in after}
        return sorted(after - self._before), sorted({run.first for run in self._before} - firsts)

    @property
    def islands(self) -> int:
        """How many runs lie beyond the position, waiting for readings before them."""
        return sum(run.first > self.position + 1 for run in self.runs)
