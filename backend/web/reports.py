"""GET /reports: choose a device and a range; the excursion report of it as PDF or CSV."""

import datetime
import time

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from .. import report_csv, report_pdf
from ..accounts import access
from ..accounts.actor import Role
from ..database import Database
from ..errors import InputRefused
from ..hot_window import day_of
from ..models import Device
from ..objects import ObjectStore
from ..report import Asked, gather
from ..time_zone import time_zone
from . import view

DAY = 86_400_000
FORMS = {"pdf": (report_pdf.render, "application/pdf"), "csv": (report_csv.render, "text/csv; charset=utf-8")}


def blueprint(database: Database, store: ObjectStore) -> Blueprint:
    reports = Blueprint("reports", __name__)

    @reports.get("/reports")
    @access.needs(Role.VIEWER)
    def show_reports() -> ResponseReturnValue:
        with database.read() as connection:
            visible = access.visible_devices(connection)
            devices = connection.scalars(select(Device.name).order_by(Device.name)).all()
        return render_template(
            "reports.html",
            devices=[name for name in devices if visible is None or name in visible],
            chosen=request.args.get("device", "")[:64],
            first=day_of(_now() - 7 * DAY),
            last=day_of(_now()),
            zone=view.carried().get("tz", "UTC"),
        )

    @reports.get("/reports/make")
    @access.needs(Role.VIEWER)
    def make_report() -> ResponseReturnValue:
        form = request.args.get("form", "pdf")
        if form not in FORMS:
            raise InputRefused("A report is made as pdf or csv.")
        device = request.args.get("device", "")[:64]
        zone = time_zone(request.args.get("tz", "UTC"))
        since, until = _time(request.args.get("from", ""), zone), _time(request.args.get("to", ""), zone, after=1)
        asked = Asked(
            device, since, min(until, _now()), access.actor().name, _now(), request.args.get("sensor", "")[:64]
        )
        with database.read() as connection:
            access.must_see(connection, device)
            found = gather(connection, store, asked)
        render, mimetype = FORMS[form]
        response = Response(render(found), content_type=mimetype)
        # The name is one of [a-z0-9-], for such a device was found.
        name = f"excursion-{device}-{day_of(asked.since)}.{form}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.headers["Cache-Control"] = "no-store"
        return response

    return reports


def _time(text: str, zone: datetime.tzinfo, after: int = 0) -> int:
    """Unix ms of a day's begin in the zone (`after` days later), of ISO 8601, or as they are. Raises InputRefused."""
    if text.isascii() and text.isdigit() and len(text) < 15:
        return int(text)
    try:
        found = datetime.datetime.fromisoformat(text)
        if len(text) == 10:
            found += datetime.timedelta(days=after)
        return int((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InputRefused("from and to are days as 2026-11-23, times of ISO 8601, or Unix ms.") from None


def _now() -> int:
    return time.time_ns() // 1_000_000
