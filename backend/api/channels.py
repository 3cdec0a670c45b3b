"""GET /channels/<id>/series: a channel's readings in a time range, in buckets."""

import dataclasses

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from .. import queries
from ..database import Database
from . import shapes

HOUR = 3_600_000
# Years 1970 to 9999: beyond them no clock is right, and SQL's integers end.
LAST_TIME = 253_402_300_799_999
DEFAULT_BUCKETS = 360
MOST_BUCKETS = 5_000


def blueprint(database: Database) -> Blueprint:
    channels = Blueprint("channels", __name__, url_prefix="/channels")

    @channels.get("/<int:channel_id>/series")
    def show_series(channel_id: int) -> ResponseReturnValue:
        until = whole_number("until", shapes.now() + 1, 0, LAST_TIME)
        since = whole_number("since", max(0, until - HOUR), 0, LAST_TIME)
        buckets = whole_number("buckets", DEFAULT_BUCKETS, 1, MOST_BUCKETS)
        if since >= until:
            raise BadRequest("since must be before until.")
        with database.read() as connection:
            # Channel ids are SQL's BIGINT: a longer number is a channel that does not exist.
            channel = queries.channel(connection, min(channel_id, 2**63 - 1))
            found = queries.series(connection, channel_id, since, until, buckets)
        return {
            **dataclasses.asdict(channel),
            "since": since,
            "until": until,
            "width": queries.bucket_width(since, until, buckets),
            "buckets": [dataclasses.asdict(bucket) for bucket in found],
        }

    return channels


def whole_number(name: str, default: int, least: int, most: int) -> int:
    """The query parameter, or the default when it isn't given. Raises BadRequest, naming what it takes."""
    text = request.args.get(name)
    if text is None:
        return default
    # int() would take "1_0", " 1" and other alphabets' digits; fifteen digits hold every time and count.
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise BadRequest(f"{name} takes a whole number from {least} to {most}.")
    return int(text)
