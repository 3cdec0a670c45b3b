"""GET /: all devices, worst first, and GET /sparklines: the last day of their channels."""

import time

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, func, select
from werkzeug.exceptions import BadRequest

from .. import calibration
from ..accounts import access
from ..accounts.actor import Role
from ..api import newest, shapes
from ..database import Database
from ..models import Rollup
from ..rollup import DAY, MINUTES_5

FIRST_COMMAND = "python -m tools simulate"
HALF_AN_HOUR = 1_800_000
MOST_CHANNELS = 100

# (time of the bucket's middle, Unix ms; lowest; mean; highest)
Point = tuple[int, float | None, float | None, float | None]


def blueprint(database: Database) -> Blueprint:
    overview = Blueprint("overview", __name__)

    @overview.get("/")
    @access.needs(Role.VIEWER)
    def show_overview() -> ResponseReturnValue:
        with database.read() as connection:
            state = shapes.snapshot(connection, access.visible_devices(connection), newest.source())
        return render_template("overview.html", state=state, first_command=FIRST_COMMAND)

    @overview.get("/sparklines")
    @access.needs(Role.VIEWER)
    def show_sparklines() -> ResponseReturnValue:
        ids = request.args.get("channels", "").split(",")
        if len(ids) > MOST_CHANNELS or not all(id.isascii() and id.isdigit() and len(id) < 19 for id in ids):
            raise BadRequest(f"channels takes up to {MOST_CHANNELS} channels' numbers with commas between them.")
        with database.read() as connection:
            days = last_day(connection, [int(id) for id in ids], time.time_ns() // 1_000_000)
        return {"width": HALF_AN_HOUR, "days": days}

    return overview


def last_day(connection: Connection, channels: list[int], now: int) -> dict[int, list[Point]]:
    """Channel id → its last 24 hours in half-hours, oldest first, corrected; those without a value are left out."""
    number = (Rollup.start // HALF_AN_HOUR).label("number")
    rows = connection.execute(
        select(
            Rollup.channel_id,
            number,
            func.min(Rollup.low),
            func.sum(Rollup.total),
            func.sum(Rollup.count),
            func.max(Rollup.high),
        )
        .where(Rollup.channel_id.in_(channels), Rollup.width == MINUTES_5, Rollup.start >= now - DAY)
        .group_by(Rollup.channel_id, number)
        .having(func.sum(Rollup.count) > 0)
        .order_by(Rollup.channel_id, number)
    )
    corrections = calibration.corrections(connection)
    days: dict[int, list[Point]] = {}
    for channel, found, low, total, count, high in rows:
        correct = corrections.get(channel, calibration.NONE).apply
        middle = int(found) * HALF_AN_HOUR + HALF_AN_HOUR // 2
        mean = total / int(count)
        days.setdefault(channel, []).append((middle, correct(low), correct(mean), correct(high)))
    return days
