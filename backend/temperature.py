"""Degrees Celsius, which everything here is kept in, and Fahrenheit, which people may ask for. Pure.

t/°F = 9/5 · t/°C + 32: NIST Special Publication 811 (2008), B.8.
"""

from typing import Literal

Scale = Literal["C", "F"]
DIGITS = 9  # behind the point: what the arithmetic of floats adds is beyond them


def fahrenheit(celsius: float) -> float:
    return round(celsius * 9 / 5 + 32, DIGITS)


def celsius(fahrenheit: float) -> float:
    return round((fahrenheit - 32) * 5 / 9, DIGITS)


def kelvins(degrees: float) -> float:
    """A difference of so many degrees Fahrenheit."""
    return round(degrees * 5 / 9, DIGITS)


def degrees_fahrenheit(kelvins: float) -> float:
    """A difference of so many kelvins."""
    return round(kelvins * 9 / 5, DIGITS)
