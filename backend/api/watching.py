"""What the alert rules say of each channel, and what is wrong right now: for cards and charts."""

import dataclasses
from typing import Any

from sqlalchemy import Connection

from ..alerts import rules

# Open episodes that go with the devices; more of them than this, and a page has other troubles.
MOST_OPEN = 2_000


@dataclasses.dataclass(frozen=True)
class Watching:
    """limits: channel id → its rules that have a line in a chart; alerts: device name → its open episodes."""

    limits: dict[int, list[dict[str, Any]]]
    alerts: dict[str, list[dict[str, Any]]]


NOTHING = Watching({}, {})


def read(connection: Connection) -> Watching:
    """Of all devices. README.md has the shapes."""
    known = {entry.id: entry for entry in rules.rules(connection)}
    limits: dict[int, list[dict[str, Any]]] = {}
    for entry in known.values():
        if entry.enabled and entry.channel is not None and entry.rule.kind in ("high", "low"):
            limits.setdefault(entry.channel, []).append(
                {
                    "rule": entry.id,
                    "name": entry.name,
                    "kind": entry.rule.kind,
                    "limit": entry.rule.limit,
                    "severity": entry.rule.severity,
                }
            )
    alerts: dict[str, list[dict[str, Any]]] = {}
    for open_one in rules.episodes(connection, MOST_OPEN, open_only=True):
        entry = known[open_one.rule]
        alerts.setdefault(open_one.device, []).append(
            {
                "id": open_one.id,
                "rule": entry.id,
                "name": entry.name,
                "channel": entry.channel,
                "kind": entry.rule.kind,
                "limit": entry.rule.limit,
                "severity": entry.rule.severity,
                "start": open_one.episode.start,
                "raised": open_one.episode.raised,
                "peak": open_one.episode.peak,
                "acknowledged_at": open_one.acknowledged_at,
            }
        )
    return Watching(limits, alerts)
