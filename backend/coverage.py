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
    """The runs of one stream from `position` on, and the changes made to them since they were read.

    `removed` are firsts of runs to delete from the table, `added` those to insert, in that order.
    """

    def __init__(self, runs: list[Run], position: int) -> None:
        self.runs = sorted(runs)
        self.position = position
        self._before = set(self.runs)

    def claim(self, first: int, last: int, cause: str | None = None) -> list[tuple[int, int]]:
        """Account for first..last as far as they are not yet; the parts that were new, as (first, last)."""
        new = self._uncovered(max(first, self.position + 1), last)
        for part in new:
            self._insert(Run(*part, cause))
        self._advance()
        return new

    def _uncovered(self, first: int, last: int) -> list[tuple[int, int]]:
        parts = []
        for run in self.runs:
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
        at = bisect_left(self.runs, run)
        first, last = run.first, run.last
        if at < len(self.runs) and self.runs[at].first == last + 1 and self.runs[at].cause == run.cause:
            last = self.runs.pop(at).last
        if at and self.runs[at - 1].last == first - 1 and self.runs[at - 1].cause == run.cause:
            at -= 1
            first = self.runs.pop(at).first
        self.runs.insert(at, Run(first, last, run.cause))

    def _advance(self) -> None:
        for run in self.runs:
            if run.first > self.position + 1:
                break
            self.position = max(self.position, run.last)

    @property
    def removed(self) -> list[int]:
        return sorted(run.first for run in self._before - set(self.runs))

    @property
    def added(self) -> list[Run]:
        return sorted(set(self.runs) - self._before)

    @property
    def islands(self) -> int:
        """How many runs lie beyond the position, waiting for readings before them."""
        return sum(run.first > self.position + 1 for run in self.runs)
