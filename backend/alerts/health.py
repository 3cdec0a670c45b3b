"""A device's health as a history: one sample a `state` message, kept as long as a rule can look back.

`devices.health` has the newest one only. The alert service takes it over as it changes: messages come once a minute,
it looks once a second. While it does not run nothing is kept, and what is not known is unknown. A message has no time
of its own, so its samples are dated by its arrival, and none is ever late.
"""

import json
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from ..models import Device
from .conditions import Sample
from .rule import DAY
from .tables import HealthSample

KEPT = 32 * DAY


def record(connection: Connection, now: int) -> int:
    """Take over what devices have told since; how many samples."""
    last = select(HealthSample.device_id, func.max(HealthSample.t).label("t")).group_by(HealthSample.device_id)
    newest = last.subquery()
    rows = connection.execute(
        select(Device.id, Device.health, Device.health_at, HealthSample.uptime, HealthSample.restarts)
        .outerjoin(newest, newest.c.device_id == Device.id)
        .outerjoin(HealthSample, (HealthSample.device_id == Device.id) & (HealthSample.t == newest.c.t))
        .where(Device.health_at.is_not(None), or_(newest.c.t.is_(None), Device.health_at > newest.c.t))
    ).all()
    found = [
        {"device_id": device, "t": t, **_sample(health, uptime, restarts)}
        for device, health, t, uptime, restarts in rows
    ]
    if found:
        connection.execute(insert(HealthSample), found)
        connection.execute(delete(HealthSample).where(HealthSample.t < now - KEPT))
    return len(found)


def samples(connection: Connection, device: int, measure: str, after: int | None) -> list[Sample]:
    """Of one measure of a device's health, by time, after a Unix time in ms; those that did not tell it are None."""
    column = getattr(HealthSample, measure)
    query = select(HealthSample.t, column).where(HealthSample.device_id == device).order_by(HealthSample.t)
    if after is not None:
        query = query.where(HealthSample.t > after)
    return [Sample(t, None if value is None else float(value)) for t, value in connection.execute(query)]


def _sample(text: str | None, last_uptime: int | None, restarts: int | None) -> dict[str, Any]:
    try:
        told = json.loads(text or "{}")
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    outbox = told.get("outbox")
    uptime, capacity = _whole(told.get("uptime")), _whole(outbox.get("capacity")) if isinstance(outbox, dict) else None
    depth = _whole(outbox.get("depth")) if isinstance(outbox, dict) else None
    restarted = uptime is not None and last_uptime is not None and uptime < last_uptime
    return {
        "uptime": uptime,
        "rssi": _whole(told.get("rssi")),
        "free": _whole(told.get("free")),
        "outbox": None if depth is None or not capacity else 100 * depth / capacity,
        "restarts": (restarts or 0) + restarted,
    }


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
