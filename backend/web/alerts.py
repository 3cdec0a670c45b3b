"""GET /alerts: what lasts, what is snoozed, what happened; and what people do about it."""

import time
from functools import partial
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from ..accounts import access, audit
from ..accounts.actor import Role
from ..alerts import duration, episode_log, rules, sentence, targets
from ..database import Database
from ..queries import commit_number
from ..settings import Settings
from . import rule_editor, target_list, view

SHOWN = 100
SNOOZES = ("30 min", "2 h", "8 h", "1 d", "7 d")
PHASES = {
    "raised": "Told when it began",
    "again": "Told again after a snooze",
    "unseen": "Told because nobody had answered",
    "ended": "Told when it was over",
}


def blueprint(database: Database, settings: Settings) -> Blueprint:
    alerts = Blueprint("alerts", __name__)
    rule_editor.add(alerts, database)
    target_list.add(alerts, database, settings)

    @alerts.get("/alerts")
    @access.needs(Role.VIEWER)
    def show_alerts() -> ResponseReturnValue:
        with database.read() as connection:
            return render_template("alerts.html", **_state(connection))

    @alerts.post("/alerts/episodes/<int:episode>/acknowledge")
    @access.needs(Role.OPERATOR)
    def acknowledge(episode: int) -> ResponseReturnValue:
        with database.write() as connection:
            entry = _visible(connection, episode)
            episode_log.acknowledge(connection, episode, access.actor().name)
            before = {"acknowledged_by": entry.acknowledged_by}
            after = {"acknowledged_by": entry.acknowledged_by or access.actor().name}
            audit.note(connection, access.actor(), "episode.acknowledge", f"episode {episode}", before, after)
        return _back(f"episode-{episode}")

    @alerts.post("/alerts/episodes/<int:episode>/snooze")
    @access.needs(Role.OPERATOR)
    def snooze(episode: int) -> ResponseReturnValue:
        with database.write() as connection:
            entry = _visible(connection, episode)
            until = _now() + duration.parse(request.form.get("for", "")[:40])
            episode_log.snooze(connection, episode, until, access.actor().name)
            before, after = {"snoozed_until": entry.snoozed_until}, {"snoozed_until": until}
            audit.note(connection, access.actor(), "episode.snooze", f"episode {episode}", before, after)
        return _back(f"episode-{episode}")

    return alerts


def _state(connection: Connection) -> dict[str, Any]:
    now = _now()
    visible = access.visible_devices(connection)
    commit = commit_number(connection)
    watched = rules.rules(connection, visible)
    lasting = episode_log.episodes(connection, 10 * SHOWN, open_only=True, devices=visible)
    recent = episode_log.episodes(connection, SHOWN, devices=visible)
    return {
        "now": now,
        "commit": commit,
        "rules": watched,
        "open": [entry for entry in lasting if not entry.is_snoozed(now)],
        "snoozed": [entry for entry in lasting if entry.is_snoozed(now)],
        "past": [entry for entry in recent if not entry.is_open],
        "targets": {entry.id: entry for entry in targets.targets(connection, removed=True)},
        "can_act": access.actor().may(Role.OPERATOR),
        "snoozes": SNOOZES,
        "phases": PHASES,
        "amount": partial(sentence.amount, scale=view.scale()),
        "rule_sentence": partial(sentence.rule_sentence, scale=view.scale()),
        "lasting": sentence.lasting,
        "moment": sentence.moment,
        "when": sentence.when,
    }


def _visible(connection: Connection, episode: int) -> episode_log.EpisodeEntry:
    """Raises NotFound, also for what the actor may not see."""
    entry = episode_log.episode(connection, episode)
    access.must_see(connection, entry.device)
    return entry


def _back(anchor: str) -> ResponseReturnValue:
    return redirect(url_for("web.alerts.show_alerts", _anchor=anchor, **view.carried()), 303)


def _now() -> int:
    return time.time_ns() // 1_000_000
