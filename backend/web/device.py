"""GET /devices/<name>: one device; and the figures of one of its channels, for the range that is looked at."""

import time

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from ..accounts import access
from ..accounts.actor import Role
from ..api import newest, shapes
from ..database import Database
from ..errors import NotFound
from ..objects import ObjectStore
from . import figures

# Years 1970 to 9999: beyond them no clock is right, and SQL's integers end.
LAST_TIME = 253_402_300_799_999
LONGEST_RANGE = 10 * 366 * 86_400_000


def blueprint(database: Database, store: ObjectStore | None = None) -> Blueprint:
    """store: where the readings are that have left SQL."""
    device = Blueprint("device", __name__)

    @device.get("/devices/<name>")
    @access.needs(Role.VIEWER)
    def show_device(name: str) -> ResponseReturnValue:
        with database.read() as connection:
            access.must_see(connection, name)
            state = shapes.snapshot(connection, {name}, newest.source())
        return render_template(
            "device.html", state=state, device=state["devices"][0], may_change=access.actor().may(Role.OPERATOR)
        )

    @device.get("/devices/<name>/channels/<int:channel_id>/figures")
    @access.needs(Role.VIEWER)
    def show_figures(name: str, channel_id: int) -> ResponseReturnValue:
        since, until = _time("since"), _time("until")
        if not since < until <= since + LONGEST_RANGE:
            raise BadRequest("since lies before until, by ten years at most.")
        with database.read() as connection:
            access.must_see(connection, name)
            state = shapes.snapshot(connection, {name}, newest.source())
            channel = _channel(state["devices"][0], channel_id)
            # What has not happened yet is neither within the limits nor unknown.
            asked = figures.Range(channel_id, channel["unit"], since, min(until, _now()), channel["stale_after"])
            low, high = _band(channel["limits"])
            return {
                "statistics": figures.statistics(connection, asked, low, high, store) if since < asked.until else {},
                "gaps": figures.gaps(connection, asked),
                "episodes": figures.episodes(connection, asked),
                "marks": figures.marks(connection, asked),
            }

    return device


def _channel(device: shapes.Json, channel_id: int) -> shapes.Json:
    for channel in device["channels"]:
        if channel["id"] == channel_id:
            return dict(channel)
    raise NotFound(f"The device has no channel {channel_id}.", "GET /api/v1/devices lists the channels.")


def _band(limits: list[shapes.Json]) -> tuple[float | None, float | None]:
    """The inner edges of what its rules allow."""
    lows = [limit["limit"] for limit in limits if limit["kind"] == "low"]
    highs = [limit["limit"] for limit in limits if limit["kind"] == "high"]
    return max(lows, default=None), min(highs, default=None)


def _time(name: str) -> int:
    text = request.args.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) <= LAST_TIME):
        raise BadRequest(f"{name} takes Unix milliseconds.")
    return int(text)


def _now() -> int:
    return time.time_ns() // 1_000_000
