"""What several nouns say, as marshmallow schemas. They check what comes in, and describe in OpenAPI what goes out.

Answers are made by shapes.py and its like; schemathesis holds them against these descriptions.
"""

import re
from typing import Any

from apiflask import Schema
from marshmallow import RAISE, ValidationError, fields, validate

DEVICE_NAME = "[a-z0-9-]{1,64}"
# Years 1970 to 9999: beyond them no clock is right, and SQL's integers end.
LAST_TIME = 253_402_300_799_999
LARGEST_ID = 2**53 - 1


class Strict(Schema):
    """What comes in: a field that nobody knows is a mistake, and said so."""

    class Meta:
        unknown = RAISE


def line(most: int, least: int = 0, **options: Any) -> fields.String:
    """Text in one line, without control characters: what goes into tables, mails and file names."""
    metadata = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]*$"}
    return fields.String(validate=[validate.Length(least, most), in_one_line], metadata=metadata, **options)


def text(most: int, **options: Any) -> fields.String:
    """Text of several lines."""
    metadata = {"pattern": r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff]*$"}
    return fields.String(validate=[validate.Length(0, most), in_lines], metadata=metadata, **options)


def in_one_line(given: str) -> None:
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", given):
        raise ValidationError("No control characters and no line breaks.")


def in_lines(given: str) -> None:
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", given):
        raise ValidationError("No control characters.")


def is_device_name(name: str) -> bool:
    return re.fullmatch(DEVICE_NAME, name) is not None


class _Whole(fields.Integer):
    """marshmallow's would take "1_0", " 1", other alphabets' digits, and true."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) is not int:
            raise self.make_error("invalid")
        return value


class _WholeText(fields.Integer):
    """The same in an address: sixteen digits hold every time, id and count."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch("[0-9]{1,16}", value):
            raise self.make_error("invalid")
        return int(value)


class _Number(fields.Float):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) not in (int, float):
            raise self.make_error("invalid")
        return super()._deserialize(value, *args, **kwargs)


class Truth(fields.Boolean):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) is not bool:
            raise self.make_error("invalid")
        return value


def time(about: str, **options: Any) -> fields.Integer:
    """Unix ms UTC, in an address."""
    return asked(0, LAST_TIME, about, **options)


def asked(least: int, most: int, about: str, **options: Any) -> fields.Integer:
    """A whole number in an address."""
    return _WholeText(validate=validate.Range(least, most), metadata={"description": about}, **options)


def whole(least: int, most: int, about: str, **options: Any) -> fields.Integer:
    """A whole number in a body."""
    return _Whole(validate=validate.Range(least, most), metadata={"description": about}, **options)


def number(least: float, most: float, about: str, **options: Any) -> fields.Float:
    """A number in a body."""
    return _Number(validate=validate.Range(least, most), metadata={"description": about}, **options)


class Paged(Schema):
    limit = asked(1, 1_000, "items of a page", load_default=100)
    cursor = fields.String(validate=validate.Length(1, 400), metadata={"description": "from the page before"})


class Ledger(Schema):
    """In readings. sampled = stored + lost + waiting_on_device; stored = archived + waiting_for_archive."""

    sampled = fields.Integer(required=True)
    stored = fields.Integer(required=True)
    archived = fields.Integer(required=True)
    waiting_for_archive = fields.Integer(required=True)
    waiting_on_device = fields.Integer(required=True)
    lost = fields.Integer(required=True)


class Gap(Schema):
    first = fields.Integer(required=True)
    last = fields.Integer(required=True)
    readings = fields.Integer(required=True)
    cause = fields.String(required=True)


class StreamLedger(Ledger):
    device = fields.String(required=True)
    stream = fields.String(required=True)
    gap_count = fields.Integer(required=True)
    gaps = fields.List(fields.Nested(Gap), required=True)


class Account(Ledger):
    streams = fields.List(fields.Nested(StreamLedger), required=True)
