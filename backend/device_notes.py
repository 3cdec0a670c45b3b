"""What devices say of themselves, kept with their record: status, health, and what they run since when.

Retained messages come again at every connection: only a change counts, and is dated.
"""

import itertools

from sqlalchemy import Connection, select, update

from .bulk import Bulk
from .models import Channel, Device, DeviceRun
from .reading import State, Status, printable

LONGEST_VERSION = 64
LAST_RUNS = """
    SELECT device_id, firmware, settings FROM device_runs AS run WHERE device_id IN :keys
    AND since = (SELECT max(since) FROM device_runs WHERE device_id = run.device_id)"""
# A device that tells of another firmware every minute must not fill a page.
MOST_UPDATES = 500

# (firmware's version, revision of its settings)
Run = tuple[str, int]


class DeviceNotes:
    """Of one transaction: the last word of each device counts."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[str, int]] = {}
        self._runs: dict[str, tuple[Run, int]] = {}

    def take(self, said: State | Status, received: int) -> None:
        if isinstance(said, Status):
            self._told["status", said.device] = said.status, received
            return
        self._told["health", said.device] = said.health, received
        if said.firmware:
            self._runs[said.device] = (printable(said.firmware)[:LONGEST_VERSION], said.settings), received

    def write(self, connection: Connection, devices: dict[str, int]) -> bool:
        """Whether anything changed. devices: name → id."""
        changed = False
        for (name, device), (text, received) in sorted(self._told.items()):
            column, at = (Device.status, Device.status_at) if name == "status" else (Device.health, Device.health_at)
            changed |= bool(
                connection.execute(
                    update(Device)
                    .where(Device.id == devices[device], column.is_distinct_from(text))
                    .values({column.key: text, at.key: received})
                ).rowcount
            )
        if self._runs:
            self._write_runs(Bulk(connection), devices)
        return changed

    def _write_runs(self, bulk: Bulk, devices: dict[str, int]) -> None:
        ids = {devices[device] for device in self._runs}
        before = {device_id: (firmware, settings) for device_id, firmware, settings in bulk.select(LAST_RUNS, ids)}
        news = [
            (devices[device], received, *run)
            for device, (run, received) in sorted(self._runs.items())
            if before.get(devices[device]) != run
        ]
        bulk.insert_missing(DeviceRun, ("device_id", "since", "firmware", "settings"), news)


def updates(connection: Connection, channel: int, since: int, until: int) -> list[tuple[int, str]]:
    """(Unix ms, what) of the changes of what the channel's device runs, of since <= t < until, oldest first.

    Of very many the newest.
    """
    rows = connection.execute(
        select(DeviceRun.since, DeviceRun.firmware, DeviceRun.settings)
        .join(Channel, Channel.device_id == DeviceRun.device_id)
        .where(Channel.id == channel, DeviceRun.since < until)
        .order_by(DeviceRun.since.desc())
        .limit(MOST_UPDATES)
    ).all()
    found = []
    for (_, firmware, settings), (t, newer, changed) in itertools.pairwise(reversed(rows)):
        if newer != firmware:
            found.append((t, f"Firmware {newer}, before: {firmware}"))
        if changed != settings:
            found.append((t, f"Settings r{changed}, before: r{settings}"))
    return [(t, text) for t, text in found if t >= since]
