"""What a line of a legacy sensor says. Pure: bytes in, a Frame out.

    temperature,21.4                     name,value            a third field may be the unit
    temperature 21.4 C                   name value unit       the unit may be left out
    fridge-2/temperature,21.4            the sensor names itself; without that it is named by its address
    temperature,21.4 #a7                 with an id: sent again with the same one, it is the same reading
    {"name": "temperature", "value": 21.4, "unit": "C", "device": "fridge-2", "id": "a7", "t": 1763812345000}

and a pattern of your own, whose named groups are the same words. A line that can be read in two ways is refused: a
wrong value is worse than none.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from ..errors import MessageRejected, SettingsError
from ..reading import EARLIEST, LATEST
from . import units

GROUPS = {"device", "name", "value", "unit", "id", "t"}
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
DEVICE = re.compile(r"[a-z0-9-]{1,32}")
ID = re.compile(r"[!-~]{1,64}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
NO_NUMBER = {"nan", "+nan", "-nan", "null", "none"}
PATTERN_MEMORY = 1_000_000  # bytes that a compiled pattern of the settings may take
DISCONNECTED = -127.0  # what the DallasTemperature library returns for a probe that is gone


class Frame(NamedTuple):
    """One reading as its sensor told it. device: None if it did not say; t: Unix ms, or None: now."""

    device: str | None
    name: str
    unit: str
    value: float | None
    fault: str | None
    id: str | None
    t: int | None


class _Line(msgspec.Struct):
    name: str
    value: float | str | None
    unit: str | None = None
    device: str | None = None
    id: str | int | None = None
    t: int | None = None


_json = msgspec.json.Decoder(_Line)


class Found(Protocol):
    """What a pattern found in a line."""

    def groupdict(self) -> dict[str, str | None]: ...


class Pattern(Protocol):
    """What is used of a pattern of RE2's."""

    @property
    def groupindex(self) -> dict[str, int]: ...

    def fullmatch(self, text: str) -> Found | None: ...


def compile_pattern(text: str) -> Pattern | None:
    """The pattern of the settings, by RE2: no line makes it go back, so 1 KiB never takes longer than its length.

    None if there is none. Raises SettingsError.
    """
    if not text:
        return None
    try:
        import re2
    except ImportError:
        raise SettingsError(
            "THERMOGRAPH_GATEWAY_PATTERN needs RE2: with Python's own patterns a hostile line could take hours.",
            "Run: pip install google-re2",
        ) from None
    advice = (
        "It takes a regular expression with the groups (?P<name>...) and (?P<value>...), "
        "and unit, device, id and t if there are such."
    )
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        pattern: Pattern = re2.compile(text, options)
    except re2.error as error:
        why = error.args[0].decode() if error.args else "too large"
        raise SettingsError(f"THERMOGRAPH_GATEWAY_PATTERN is {text!r}: {why}.", advice) from None
    if not {"name", "value"} <= pattern.groupindex.keys() <= GROUPS:
        raise SettingsError(f"THERMOGRAPH_GATEWAY_PATTERN is {text!r}.", advice)
    return pattern


def parse(line: bytes, pattern: Pattern | None = None) -> Frame:
    """line: without its end. Raises MessageRejected, with a sentence that is fit for the sensor."""
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise MessageRejected("the line is not UTF-8 text") from None
    if pattern and (match := pattern.fullmatch(text)):
        return _frame(match.groupdict())
    if text.startswith("{"):
        return _frame(_decode(text))
    return _frame(_split(text))


def _decode(text: str) -> dict[str, str | None]:
    try:
        line = _json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MessageRejected(f"this JSON is no reading: {str(error)[:100]}") from None
    return {name: None if field is None else str(field) for name, field in msgspec.structs.asdict(line).items()}


def _split(text: str) -> dict[str, str | None]:
    body, mark, identity = text.rpartition(" #")
    if not mark:
        body, identity = text, ""
    # With a comma, only commas part fields: "temperature 21,4" is not 21 of the unit "4".
    fields = [field.strip() for field in body.split(",")] if "," in body else body.split()
    if not 2 <= len(fields) <= 3:
        raise MessageRejected("a line is name,value or name value unit, or JSON")
    device, slash, name = fields[0].rpartition("/")
    return {
        "device": device if slash else None,
        "name": name,
        "value": fields[1],
        "unit": fields[2] if len(fields) == 3 else None,
        "id": identity if mark else None,
    }


def _frame(parts: Mapping[str, str | None]) -> Frame:
    name, device, identity = parts.get("name") or "", parts.get("device"), parts.get("id")
    if not NAME.fullmatch(name):
        raise MessageRejected(f"{name[:20]!r} is no name: 1 to 64 letters, digits and _.:-")
    if device is not None and (not DEVICE.fullmatch(device) or device.startswith("ip-")):
        raise MessageRejected(f"{device[:20]!r} is no device: 1 to 32 small letters, digits and dashes, not ip-...")
    if identity is not None and not ID.fullmatch(identity):
        raise MessageRejected("an id is 1 to 64 visible ASCII characters")
    unit = units.understand(name, parts.get("unit"))
    value, fault = _measured(parts.get("value"), unit)
    return Frame(device, name, unit.unit, value, fault, identity, _time(parts.get("t")))


def _measured(text: str | None, unit: units.Unit) -> tuple[float | None, str | None]:
    """(value, fault), one of them None."""
    if text is None or text.lower() in NO_NUMBER:
        return None, "no-number"
    if not NUMBER.fullmatch(text):
        raise MessageRejected(f"{text[:20]!r} is no number")
    value = unit.convert(float(text))
    if not math.isfinite(value):
        raise MessageRejected(f"{text[:20]} is too large")
    if unit.unit == "Cel":
        if value == DISCONNECTED:
            return None, "disconnected"
        if value < units.ABSOLUTE_ZERO:
            raise MessageRejected(f"{text[:20]} is below absolute zero")
    return value, None


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and EARLIEST <= int(text[:16]) < LATEST):
        raise MessageRejected("t is Unix time in milliseconds, between 2020 and 2100")
    return int(text)
