"""How long and how hard a channel was beyond its limits, and its mean kinetic temperature. Pure.

The mean kinetic temperature is the one constant temperature that would have done the same harm (USP <1079>, ICH Q1A):

    MKT = (ΔH / R) / -ln(Σ wᵢ · exp(-ΔH / (R · Tᵢ)) / Σ wᵢ)      Tᵢ in kelvin

A value lasts until the next one, as the alerts have it (alerts/conditions.py), but no longer than `hold`: after that it
is unknown, and counts neither as in range nor as out of it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ACTIVATION_ENERGY = 83_144.0  # J/mol, what USP <1079> takes where the product's own is not known
GAS_CONSTANT = 8.314462618  # J/(mol·K), CODATA 2018
ZERO_CELSIUS = 273.15  # K


@dataclass(frozen=True)
class Exposure:
    """Milliseconds above the upper limit, below the lower one, within both, and of which nothing is known."""

    above: int
    below: int
    within: int
    unknown: int


def mean_kinetic_temperature(
    celsius: Sequence[float],
    weights: Sequence[float] | None = None,
    activation_energy: float = ACTIVATION_ENERGY,
) -> float | None:
    """In °C, of temperatures in °C, each with its weight (how long it lasted; none given: all alike).

    None where there is no temperature, or none above absolute zero. activation_energy: J/mol.
    """
    known = [
        (t + ZERO_CELSIUS, weight)
        for t, weight in zip(celsius, weights or [1.0] * len(celsius), strict=True)
        if t > -ZERO_CELSIUS and weight > 0
    ]
    if not known:
        return None
    quotient = activation_energy / GAS_CONSTANT
    # Relative to the warmest: exp() of the bare exponents would underflow in a deep freezer's cold.
    warmest = max(t for t, _ in known)
    harm = sum(weight * math.exp(quotient / warmest - quotient / t) for t, weight in known)
    harm /= sum(weight for _, weight in known)
    return quotient / (quotient / warmest - math.log(harm)) - ZERO_CELSIUS


def exposure(
    samples: Iterable[tuple[int, float | None]],
    since: int,
    until: int,
    hold: int,
    low: float | None = None,
    high: float | None = None,
) -> Exposure:
    """Of the time from since to until (Unix ms). A limit that is None is never crossed; on the limit is within.

    samples: (t, value) by time; the value is None for a fault. One from before `since` says how it began.
    """
    spent = {"above": 0, "below": 0, "within": 0}
    before: tuple[int, float | None] | None = None
    for t, value in (*samples, (until, None)):
        if before is not None and before[1] is not None:
            end = min(t, before[0] + hold, until)
            spent[_side(before[1], low, high)] += max(0, end - max(before[0], since))
        before = (t, value)
    return Exposure(**spent, unknown=until - since - sum(spent.values()))


def _side(value: float, low: float | None, high: float | None) -> str:
    if high is not None and value > high:
        return "above"
    return "below" if low is not None and value < low else "within"
