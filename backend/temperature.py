"""Degrees Celsius, which everything here is kept in, and Fahrenheit, which people may ask for. Pure.

t/°F = 9/5 · t/°C + 32: NIST Special Publication 811 (2008), B.8.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

Scale = Literal["C", "F"]
# Digits behind the point. What is kept has more: so what was typed is what is shown again.
SHOWN, KEPT = 9, 12


class Shown(NamedTuple):
    """How a unit's values are shown. value, difference: of what is kept what is shown; the others: the reverse."""

    value: Callable[[float], float] = float
    difference: Callable[[float], float] = float
    kept_value: Callable[[float], float] = float
    kept_difference: Callable[[float], float] = float


def fahrenheit(celsius: float) -> float:
    return round(celsius * 9 / 5 + 32, SHOWN)


AS_KEPT = Shown()
IN_FAHRENHEIT = Shown(
    value=fahrenheit,
    difference=lambda kelvins: round(kelvins * 9 / 5, SHOWN),
    kept_value=lambda degrees: round((degrees - 32) * 5 / 9, KEPT),
    kept_difference=lambda degrees: round(degrees * 5 / 9, KEPT),
)


def shown(unit: str, scale: Scale) -> Shown:
    """unit: as SenML names it. The scale is that of temperatures; other units have one only."""
    return IN_FAHRENHEIT if unit == "Cel" and scale == "F" else AS_KEPT
