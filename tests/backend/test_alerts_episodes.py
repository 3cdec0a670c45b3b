"""Episodes from histories: by hand, and against an oracle that counts seconds."""

import random
from datetime import UTC, datetime

import pytest

from backend.alerts.conditions import Sample
from backend.alerts.episodes import Episode, Watch, watch
from backend.alerts.rule import Rule
from backend.alerts.schedule import Schedule
from backend.errors import SettingsError
from tests.backend import alerts_oracle

S = 1000
MINUTE = 60 * S


def history(*values, every=MINUTE, start=0):
    return [Sample(start + number * every, value) for number, value in enumerate(values)]


def found(rule, samples, until):
    memory = Watch()
    ended = watch(rule, memory, samples, until)
    return ended + ([memory.open] if memory.open else [])


def test_too_warm_for_long_enough():
    rule = Rule("high", 8.0, clear=0.5, duration=2 * MINUTE)
    readings = history(5, 9, 9.5, 8.2, 7.8, 7.4, 5)
    assert found(rule, readings, 7 * MINUTE) == [Episode(MINUTE, 3 * MINUTE, 5 * MINUTE, 9.5)]


def test_a_short_door_opening_is_none():
    assert found(Rule("high", 8.0, duration=5 * MINUTE), history(5, 9, 9.5, 5, 5), 6 * MINUTE) == []


def test_unknown_time_neither_counts_nor_clears():
    rule = Rule("high", 8.0, duration=3 * MINUTE, hold=2 * MINUTE)
    readings = [Sample(0, 9.0), Sample(10 * MINUTE, 9.0), Sample(11 * MINUTE, 5.0)]
    # 2 minutes known to be wrong, 8 unknown, 1 more wrong: raised at its end, and ended there.
    assert found(rule, readings, 12 * MINUTE) == [Episode(0, 11 * MINUTE, 11 * MINUTE, 9.0)]


def test_a_fault_is_unknown():
    rule = Rule("low", 2.0, duration=2 * MINUTE)
    assert found(rule, history(1, None, None, None, 5), 5 * MINUTE) == []
    assert found(rule, history(1, None, 1, 5), 5 * MINUTE) == [Episode(0, 3 * MINUTE, 3 * MINUTE, 1)]


def test_silence_is_told_while_it_lasts():
    rule = Rule("silent", 5 * MINUTE)
    readings = [Sample(0, 5.0), Sample(MINUTE, None), Sample(20 * MINUTE, 5.0)]
    assert found(rule, readings[:2], 10 * MINUTE) == [Episode(5 * MINUTE, 5 * MINUTE, None, None)]
    assert found(rule, readings, 21 * MINUTE) == [Episode(5 * MINUTE, 5 * MINUTE, 20 * MINUTE, None)]


def test_late_data_that_fills_the_silence_takes_the_episode_back():
    assert found(Rule("silent", 5 * MINUTE), history(*[5.0] * 20), 21 * MINUTE) == []


def test_a_fast_rise():
    rule = Rule("rise", 3.0, window=2 * MINUTE)
    assert found(rule, history(5, 6, 7, 9.5, 9.5, 9.5, 9.5), 7 * MINUTE) == [
        Episode(3 * MINUTE, 3 * MINUTE, 4 * MINUTE, 3.5)
    ]


def test_exposure_adds_up_over_a_day():
    rule = Rule("high", 8.0, duration=3 * MINUTE, window=10 * MINUTE)
    readings = history(9, 5, 5, 10, 5, 9, 5, 5, 5, 5, 5, 5, 5)
    assert found(rule, readings, 13 * MINUTE) == [Episode(0, 6 * MINUTE, 10 * MINUTE, 10)]


def test_a_schedule_ends_what_it_does_not_cover():
    monday = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) * S
    office = Schedule("Europe/Berlin", (0, 1, 2, 3, 4), 8 * 60, 18 * 60)
    rule = Rule("high", 30.0, schedule=office)
    readings = history(*[40.0] * 48, every=30 * MINUTE, start=monday)
    assert found(rule, readings, monday + 24 * 60 * MINUTE) == [
        Episode(monday + 7 * 60 * MINUTE, monday + 7 * 60 * MINUTE, monday + 17 * 60 * MINUTE, 40.0)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "loud", "limit": 1},
        {"kind": "high", "limit": float("nan")},
        {"kind": "high", "limit": 1, "clear": -1},
        {"kind": "high", "limit": 1, "duration": 2000, "window": 1000},
        {"kind": "high", "limit": 1, "window": 1000},
        {"kind": "rise", "limit": 1},
        {"kind": "silent", "limit": 0},
        {"kind": "high", "limit": 1, "hold": 0},
        {"kind": "high", "limit": 1, "severity": "panic"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(SettingsError):
        Rule(**wrong)


def random_rule(chance):
    kind = chance.choice(["high", "high", "low", "low", "rise", "fall", "silent"])
    window = chance.choice([0, 0, 60, 200]) * S
    duration = chance.choice([0, 0, 7, 30, 100]) * S
    if kind in ("rise", "fall"):
        return Rule(kind, chance.choice([1, 3]), chance.choice([0, 1]), duration, chance.choice([20, 60]) * S, 40 * S)
    if kind == "silent":
        return Rule(kind, chance.choice([30, 60]) * S, duration=duration)
    if window:
        duration = min(max(duration, 5 * S), window)
    schedule = Schedule("UTC", tuple(range(7)), 0, 1) if chance.random() < 0.2 else None
    return Rule(kind, 5, chance.choice([0, 0, 1]), duration, window, chance.choice([15, 40]) * S, schedule=schedule)


def random_history(chance):
    """Readings over up to ten minutes, with holes and faults; values go back and forth over the limits."""
    t, value, samples = chance.randrange(0, 30), 5.0, []
    while t < 400:
        value = min(max(value + chance.choice([-2, -1, -0.5, 0.5, 1, 2]), 1), 9)
        samples.append(Sample(t * S, None if chance.random() < 0.08 else value))
        t += chance.choice([5, 5, 5, 5, 6, 7, 90])
    return samples


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_random_histories_agree_with_the_oracle(block):
    told = 0
    for seed in range(block * 100, block * 100 + 100):
        chance = random.Random(seed)
        rule, samples = random_rule(chance), random_history(chance)
        until = samples[-1].t + chance.choice([0, 20, 200]) * S
        expected = alerts_oracle.episodes(rule, samples, until)
        told += len(expected)
        assert found(rule, samples, until) == expected, (seed, rule)
        assert in_pieces(rule, samples, until, chance) == expected, (seed, rule)
    assert told > 50


def in_pieces(rule, samples, until, chance):
    """The same, told bit by bit, with copies taken as a restart would."""
    memory, ended, at, rest = Watch(), [], 0, list(samples)
    while at < until:
        at = min(at + chance.choice([1, 10, 33, 100]) * S, until)
        now = [sample for sample in rest if sample.t <= at]
        rest = rest[len(now) :]
        memory = memory.copy()
        ended += watch(rule, memory, now, at)
    return ended + ([memory.open] if memory.open else [])
