"""How legacy sensors write units, and which unit of SenML each becomes. Pure."""

import re
from typing import NamedTuple

from ..errors import MessageRejected

NUMBER = "/"  # SenML's unit of a bare number
VALID = re.compile(r"[A-Za-z%/][A-Za-z0-9%/._-]{0,15}")
ABSOLUTE_ZERO = -273.15


class Unit(NamedTuple):
    """unit as SenML names it; a value v of the sensor is (v + shift) * factor in it."""

    unit: str
    factor: float = 1.0
    shift: float = 0.0

    def convert(self, value: float) -> float:
        return (value + self.shift) * self.factor


# What sensors write, in lower case. Factors: SI brochure, NIST SP 811.
KNOWN = {
    "c": Unit("Cel"), "°c": Unit("Cel"), "degc": Unit("Cel"), "cel": Unit("Cel"), "celsius": Unit("Cel"),
    "f": Unit("Cel", 5 / 9, -32), "°f": Unit("Cel", 5 / 9, -32), "degf": Unit("Cel", 5 / 9, -32),
    "rh": Unit("%RH"), "%rh": Unit("%RH"),
    "pa": Unit("Pa"), "hpa": Unit("Pa", 100), "mbar": Unit("Pa", 100), "kpa": Unit("Pa", 1000),
    "v": Unit("V"), "dbm": Unit("dBm"),
}  # fmt: skip
# What a quantity is measured in when the sensor does not say.
USUAL = {
    "temperature": "Cel", "temp": "Cel", "humidity": "%RH", "hum": "%RH", "pressure": "Pa", "voltage": "V",
    "rssi": "dBm",
}  # fmt: skip


def understand(name: str, written: str | None) -> Unit:
    """The unit of a quantity. Raises MessageRejected."""
    if not written:
        return Unit(USUAL.get(name.lower(), NUMBER))
    if written == "mV":  # before lower case makes megavolts of it
        return Unit("V", 0.001)
    if written == "%" and USUAL.get(name.lower()) == "%RH":
        return Unit("%RH")
    known = KNOWN.get(written.lower())
    if known:
        return known
    if not VALID.fullmatch(written):
        raise MessageRejected(f"the unit {written[:20]!r} is none: 1 to 16 letters, digits and %/._-, no digit first")
    return Unit(written)
