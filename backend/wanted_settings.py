"""The settings that a device is wanted to have, with their revision. announce/ carries them to the device.

What is not named here is the device's own, from its file: firmware/README.md, "Settings from afar". Offered are the
fields that a running device takes at once, without a restart.
"""

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, select, update

from .database import upsert
from .errors import InputRefused, NotFound
from .models import Device, WantedSettings

HIGHEST_REVISION = 2**31


class Send(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """every: readings that are worth a message; within: s that a reading waits at most; change: sent at once."""

    every: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    within: Annotated[float, Meta(ge=0, le=604_800)] | None = None
    change: Annotated[float, Meta(gt=0, lt=1e9)] | None = None


class Fields(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What may be wanted; None: as the device's file has it. Bounds are firmware/thermograph/settings.py's own.

    interval, state_every, patience, restart_after: seconds; oversample: measurements of one sample.
    """

    interval: Annotated[float, Meta(ge=1, le=86_400)] | None = None
    oversample: Annotated[int, Meta(ge=1, le=99)] | None = None
    send: Send | None = None
    state_every: Annotated[float, Meta(ge=1, le=86_400)] | None = None
    patience: Annotated[float, Meta(ge=0.1, le=3_600)] | None = None
    restart_after: Annotated[float, Meta(ge=0, le=604_800)] | None = None


@dataclass(frozen=True)
class Wanted:
    """changed_at, published_at: Unix ms; published_at is None until the broker has taken this revision."""

    device: str
    revision: int
    fields: dict[str, Any]
    changed_at: int
    changed_by: str
    published_at: int | None

    @property
    def payload(self) -> bytes:
        """As it goes to the device (tests/wire/v1/settings.json)."""
        return msgspec.json.encode({"revision": self.revision, **self.fields})


def read(connection: Connection, device: str) -> Wanted | None:
    """None: nothing was ever wanted of it."""
    return next(iter(_read(connection, Device.name == device)), None)


def everything(connection: Connection) -> list[Wanted]:
    """What is wanted of each device, by its name."""
    return _read(connection, Device.name.is_not(None))


def want(connection: Connection, device: str, fields: dict[str, Any], by: str) -> Wanted:
    """From now on the device is wanted to have just these fields; the revision is above all that it has seen.

    Raises InputRefused, naming the field, and NotFound.
    """
    try:
        checked = msgspec.to_builtins(msgspec.convert(fields, Fields))
    except msgspec.ValidationError as error:
        raise InputRefused(f"These are no settings: {error}.", "firmware/README.md lists them.") from None
    found = connection.execute(select(Device.id, Device.health).where(Device.name == device)).one_or_none()
    if found is None:
        raise NotFound(f"There is no device {device}.", "GET /api/v1/devices lists the devices.")
    before = connection.scalar(
        select(WantedSettings.revision).where(WantedSettings.device_id == found.id).with_for_update()
    )
    revision = max(before or 0, *_revisions(found.health)) + 1
    row = {
        "device_id": found.id,
        "revision": min(revision, HIGHEST_REVISION),
        "body": json.dumps(checked, sort_keys=True),
        "changed_at": time.time_ns() // 1_000_000,
        "changed_by": by[:120],
        "published_at": None,
    }
    upsert(connection, WantedSettings, [row])
    return Wanted(device, row["revision"], checked, row["changed_at"], row["changed_by"], None)


def published(connection: Connection, wanted: Wanted, at: int) -> None:
    """The broker has taken this revision; a newer one that came meanwhile stays unpublished."""
    of_device = select(Device.id).where(Device.name == wanted.device).scalar_subquery()
    connection.execute(
        update(WantedSettings)
        .where(WantedSettings.device_id == of_device, WantedSettings.revision == wanted.revision)
        .values(published_at=at)
    )


def _read(connection: Connection, which: Any) -> list[Wanted]:
    columns = (
        Device.name,
        WantedSettings.revision,
        WantedSettings.body,
        WantedSettings.changed_at,
        WantedSettings.changed_by,
        WantedSettings.published_at,
    )
    rows = connection.execute(
        select(*columns).join(Device, Device.id == WantedSettings.device_id).where(which).order_by(Device.name)
    )
    return [
        Wanted(name, revision, json.loads(body), changed_at, changed_by, published_at)
        for name, revision, body, changed_at, changed_by, published_at in rows
    ]


def _revisions(health: str | None) -> list[int]:
    """The revisions that the device itself has spoken of: of its file, or one that it refused."""
    try:
        told = json.loads(health or "{}")
    except ValueError:
        return [0]
    return [told.get(name) or 0 for name in ("settings", "refused")]
