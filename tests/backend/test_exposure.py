"""Mean kinetic temperature against published figures, and time beyond limits against a second-by-second count."""

import math
import random

import pytest

from backend.exposure import ACTIVATION_ENERGY, exposure, mean_kinetic_temperature


def test_equal_temperatures_are_their_own_mean():
    assert mean_kinetic_temperature([5.0] * 9) == pytest.approx(5.0)
    assert mean_kinetic_temperature([-196.0, -196.0]) == pytest.approx(-196.0)


def test_the_warm_hours_count_more():
    """Six months at 25 °C and six at 30 °C, by the formula as USP <1079> prints it."""
    by_hand = -math.log((math.exp(-10_000 / 298.15) + math.exp(-10_000 / 303.15)) / 2)
    expected = 10_000 / by_hand - 273.15
    energy = 10_000 * 8.314462618
    assert mean_kinetic_temperature([25.0, 30.0], activation_energy=energy) == pytest.approx(expected)
    assert 27.5 < expected < 30


def test_weights_are_repetitions():
    repeated = mean_kinetic_temperature([4.0] * 5 + [12.0] * 2)
    assert mean_kinetic_temperature([4.0, 12.0], [5, 2]) == pytest.approx(repeated)


def test_what_is_no_temperature_is_left_out():
    assert mean_kinetic_temperature([]) is None
    assert mean_kinetic_temperature([-300.0]) is None
    assert mean_kinetic_temperature([-300.0, 5.0]) == pytest.approx(5.0)
    assert ACTIVATION_ENERGY == 83_144


def test_time_beyond_limits_is_what_a_count_of_every_second_gives():
    chance = random.Random(3)
    for _ in range(200):
        times = sorted(chance.sample(range(-300, 1_000), 40))
        values = [None if chance.random() < 0.1 else chance.uniform(0, 10) for _ in times]
        hold, low, high = chance.choice([20, 60, 2_000]), chance.choice([None, 3.0]), chance.choice([None, 7.0])
        found = exposure(zip(times, values, strict=True), 0, 1_000, hold, low, high)
        count = {"above": 0, "below": 0, "within": 0, "unknown": 0}
        for second in range(1_000):
            last = max((i for i, t in enumerate(times) if t <= second), default=None)
            value = None if last is None or second >= times[last] + hold else values[last]
            if value is None:
                count["unknown"] += 1
            elif high is not None and value > high:
                count["above"] += 1
            else:
                count["below" if low is not None and value < low else "within"] += 1
        assert vars(found) == count
