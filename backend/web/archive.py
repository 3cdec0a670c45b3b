"""GET /archive: a calendar of days, their objects, what is not archived yet; download, and read back from S3.

An object holds the readings of all devices of a day: the page is for those who may see all of them.
"""

import dataclasses
import datetime
import itertools
import time
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from .. import archive_days
from ..accounts import access, audit
from ..accounts.actor import Role
from ..archive_days import Day, Seals
from ..database import Database
from ..errors import InputRefused, NotAllowed
from ..hot_window import day_of
from ..objects import ObjectStore


def blueprint(database: Database, store: ObjectStore) -> Blueprint:
    archive = Blueprint("archive", __name__)
    seals = Seals(store)

    @archive.get("/archive")
    @access.needs(Role.VIEWER)
    def show_archive() -> ResponseReturnValue:
        _must_see_all()
        month = _month(request.args.get("month", ""))
        with database.read() as connection:
            return render_template("archive.html", **_state(connection, month))

    @archive.get("/archive/seals")
    @access.needs(Role.VIEWER)
    def show_seals() -> ResponseReturnValue:
        """Object's key → number of its manifest: from S3, so it comes after the page."""
        _must_see_all()
        try:
            return {"manifests": seals.numbers()}
        except ValueError as error:
            return {"manifests": {}, "trouble": f"{error}. `python -m tools chain` says more."}

    @archive.get("/archive/objects/<path:key>")
    @access.needs(Role.OPERATOR)
    def download(key: str) -> ResponseReturnValue:
        _must_see_all()
        with database.read() as connection:
            found = archive_days.of_key(connection, key)
        pieces = store.stream(found.key)
        # What S3 has not must be an error, and no half of an answer.
        first = next(pieces, b"")
        name = found.key.replace("day=", "").replace("/", "-")
        response = Response(itertools.chain([first], pieces), mimetype="application/vnd.apache.parquet")
        response.content_length = found.size
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.headers["X-SHA256"] = found.sha256
        response.set_etag(found.sha256)
        return response

    @archive.post("/archive/verify/<path:key>")
    @access.needs(Role.OPERATOR)
    def verify(key: str) -> ResponseReturnValue:
        _must_see_all()
        checked = archive_days.check(database, store, key)
        with database.write() as connection:
            after = {"rows": checked.rows, "findings": list(checked.findings[:20])}
            audit.note(connection, access.actor(), "archive.verify", f"object {key}", None, after)
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
            return {**dataclasses.asdict(checked), "sound": checked.is_sound}
        return render_template("archive_checked.html", checked=checked)

    return archive


def _must_see_all() -> None:
    if access.actor().places is not None:
        raise NotAllowed(
            "The archive's objects hold the readings of every device, and you see those of some places only.",
            "Ask an admin, or export readings from a device's page.",
        )


def _month(text: str) -> datetime.date:
    """First day of the month that is asked for; of this one, if none is. Raises InputRefused."""
    if not text:
        return datetime.date.fromisoformat(day_of(_now())).replace(day=1)
    try:
        return datetime.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise InputRefused("month is written as 2026-11.") from None


def _state(connection: Connection, month: datetime.date) -> dict[str, Any]:
    following = (month + datetime.timedelta(days=32)).replace(day=1)
    last = following - datetime.timedelta(days=1)
    found = archive_days.days(connection, month.isoformat(), last.isoformat())
    by_day = {day.day: day for day in found}
    calendar: list[tuple[int, Day | None]] = [
        (number, by_day.get(month.replace(day=number).isoformat())) for number in range(1, last.day + 1)
    ]
    everything = archive_days.totals(connection)
    return {
        "month": month,
        "before": (month - datetime.timedelta(days=1)).strftime("%Y-%m"),
        "after": following.strftime("%Y-%m"),
        "blanks": month.weekday(),
        "calendar": calendar,
        "days": found,
        "totals": everything,
        "can_act": access.actor().may(Role.OPERATOR),
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
