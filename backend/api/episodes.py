"""Episodes: what was wrong, and since when. Acknowledge one, or snooze it."""

import dataclasses
from collections.abc import Callable

from apiflask import APIBlueprint, Schema
from flask import Response
from marshmallow import fields, validate
from sqlalchemy import Connection

from ..accounts import access, audit
from ..accounts.actor import Role
from ..alerts import episode_log
from ..alerts.episode_log import EpisodeEntry
from ..database import Database
from ..errors import NotFound
from . import answers, paging, schemas, shapes
from .contract import JSON, contract
from .idempotency import once
from .shapes import Json


class EpisodeShape(Schema):
    """end: null while it lasts. withdrawn_at: when late readings showed that it never was."""

    id = fields.Integer(required=True)
    rule = fields.Integer(required=True)
    name = fields.String(required=True)
    device = fields.String(required=True)
    channel = fields.Integer(required=True, allow_none=True)
    sensor = fields.String(required=True)
    unit = fields.String(required=True)
    severity = fields.String(required=True)
    start = fields.Integer(required=True)
    raised = fields.Integer(required=True)
    end = fields.Integer(required=True, allow_none=True)
    peak = fields.Float(required=True, allow_none=True)
    withdrawn_at = fields.Integer(required=True, allow_none=True)
    acknowledged_at = fields.Integer(required=True, allow_none=True)
    acknowledged_by = fields.String(required=True, allow_none=True)
    snoozed_until = fields.Integer(required=True, allow_none=True)
    snoozed_by = fields.String(required=True, allow_none=True)
    escalated_at = fields.Integer(required=True, allow_none=True)
    notices = fields.List(fields.Dict(), required=True)


class EpisodeList(Schema):
    now = fields.Integer(required=True)
    episodes = fields.List(fields.Nested(EpisodeShape), required=True)


class EpisodesAsked(schemas.Paged):
    state = fields.String(validate=validate.OneOf(["all", "open"]), load_default="all")
    rule = schemas.asked(1, schemas.LARGEST_ID, "of this rule only")


class Snooze(schemas.Strict):
    until = schemas.whole(0, schemas.LAST_TIME, "Unix ms, within the next seven days", required=True)


def blueprint(database: Database) -> APIBlueprint:
    found = APIBlueprint("episodes", __name__, url_prefix="/episodes")

    @found.get("")
    @access.needs(Role.VIEWER, scope="alerts:read")
    @found.input(EpisodesAsked, location="query", arg_name="asked")
    @found.output(EpisodeList)
    def list_episodes(asked: Json) -> Response:
        """Episodes of the devices that you may see, the newest first"""
        before, limit = paging.decode(asked.get("cursor"), int, int), asked["limit"]
        with database.read() as connection:
            entries = episode_log.episodes(
                connection,
                limit + 1,
                open_only=asked["state"] == "open",
                devices=access.visible_devices(connection),
                rule=asked.get("rule"),
                before=(int(before[0]), int(before[1])) if before else None,
            )
        end = None
        if len(entries) > limit:
            last = entries[limit - 1]
            end = [last.episode.start, last.id]
        body = {"now": shapes.now(), "episodes": [shape(entry) for entry in entries[:limit]]}
        return answers.tagged(body, headers=paging.links(end))

    @found.get("/<int:episode_id>")
    @access.needs(Role.VIEWER, scope="alerts:read")
    @found.output(EpisodeShape)
    def show_episode(episode_id: int) -> Response:
        """One episode, with who was told"""
        with database.read() as connection:
            return answers.tagged(shape(visible(connection, episode_id)))

    @found.post("/<int:episode_id>/acknowledgement")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(idempotent=True)
    @found.output(EpisodeShape)
    def acknowledge(episode_id: int) -> Response:
        """Say that somebody looks after it; who was first stands"""
        return _handle(database, episode_id, "acknowledge", episode_log.acknowledge)

    @found.post("/<int:episode_id>/snooze")
    @access.needs(Role.OPERATOR, scope="alerts:write")
    @contract(takes=(JSON,), idempotent=True)
    @found.input(Snooze, arg_name="wanted")
    @found.output(EpisodeShape)
    def snooze(episode_id: int, wanted: Json) -> Response:
        """Let nobody be told of it until then, but of its end"""

        def until(connection: Connection, id: int, who: str) -> None:
            episode_log.snooze(connection, id, wanted["until"], who)

        return _handle(database, episode_id, "snooze", until)

    return found


def visible(connection: Connection, episode_id: int) -> EpisodeEntry:
    """Raises NotFound for an episode that is not there, or of a device that is not for the one who asks."""
    entry = episode_log.episode(connection, min(episode_id, 2**63 - 1))
    seen = access.visible_devices(connection)
    if seen is not None and entry.device not in seen:
        raise NotFound(f"There is no episode {episode_id}.")
    return entry


def shape(entry: EpisodeEntry) -> Json:
    found = dataclasses.asdict(entry)
    del found["log"]
    found |= found.pop("episode")
    told = [{"phase": one.phase, "target": one.target, "outcome": one.outcome, "at": one.at} for one in entry.log]
    return {**found, "notices": told}


def _handle(database: Database, episode_id: int, action: str, do: Callable[[Connection, int, str], None]) -> Response:
    def work(connection: Connection) -> Response:
        before = visible(connection, episode_id)
        do(connection, episode_id, access.actor().name)
        after = shape(episode_log.episode(connection, episode_id))
        audit.note(connection, access.actor(), f"episode.{action}", f"episode {episode_id}", shape(before), after)
        return answers.plain(after)

    return once(database, work)
