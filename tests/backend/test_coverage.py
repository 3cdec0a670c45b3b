"""Coverage against an oracle: a plain dictionary of seq → first account."""

import random

import pytest

from backend.coverage import Coverage, Run


class Oracle:
    def __init__(self):
        self.accounts = {}

    def claim(self, first, last, cause):
        new = [seq for seq in range(first, last + 1) if seq not in self.accounts]
        self.accounts.update((seq, cause) for seq in new)
        return new

    @property
    def position(self):
        position = 0
        while position + 1 in self.accounts:
            position += 1
        return position


@pytest.mark.parametrize("seed", range(50))
def test_agrees_with_the_oracle_over_random_claims_and_reloads(seed):
    chance = random.Random(seed)
    oracle = Oracle()
    table: dict[int, Run] = {}  # what SQL holds: first → run
    position = 0
    for _ in range(60):
        coverage = Coverage([run for run in table.values() if run.last >= position], position)
        for _ in range(chance.randint(1, 4)):
            first = chance.randint(1, 80)
            last = first + chance.randint(0, 12)
            cause = chance.choice([None, None, None, "flash-full"])
            new = [seq for part in coverage.claim(first, last, cause) for seq in range(part[0], part[1] + 1)]
            assert new == oracle.claim(first, last, cause)
        changed, removed = coverage.changes()
        for first in removed:
            del table[first]
        table.update((run.first, run) for run in changed)
        position = coverage.position
        assert position == oracle.position
        assert {seq: run.cause for run in table.values() for seq in range(run.first, run.last + 1)} == oracle.accounts


def test_a_stream_in_order_stays_one_run():
    coverage = Coverage([], 0)
    for first in range(1, 1000, 10):
        assert coverage.claim(first, first + 9) == [(first, first + 9)]
    assert coverage.runs == [Run(1, 1000)]
    assert (coverage.position, coverage.islands) == (1000, 0)


def test_what_lies_ahead_is_an_island_until_the_hole_is_filled():
    coverage = Coverage([Run(1, 10)], 10)
    coverage.claim(21, 30)
    assert (coverage.position, coverage.islands) == (10, 1)
    coverage.claim(11, 20, "power-cut")
    assert (coverage.position, coverage.islands) == (30, 0)
    assert coverage.runs == [Run(1, 10), Run(11, 20, "power-cut"), Run(21, 30)]
