"""The newest reading of each channel, in Redis for all web processes: one hash a history of commits.

Its field `commit` says up to which commit the others are complete; the others are channels. Who finds that SQL has gone
on asks it for what came since, and writes that there for all. So what is read is always SQL's newest: a Redis that is
empty, behind, ahead or gone costs a query, and never shows what is old.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec
from sqlalchemy import Connection, select

from . import queries
from .models import Progress
from .queries import NewestRow
from .shared_memory import SharedMemory

# After a database was brought back from a backup its commits have the same numbers again: by then this is forgotten.
SECONDS = 60
COMPLETE = b"commit"

# KEYS[1]; ARGV: the commit that the rows were added to ("-1": they are all), the one up to which they go, seconds to
# keep it, then channel and row by turns. Only what completes what is there is taken; and nothing goes back.
SAVE = """
local held = tonumber(redis.call('HGET', KEYS[1], 'commit') or -1)
local base, commit = tonumber(ARGV[1]), tonumber(ARGV[2])
if held >= commit or (base >= 0 and held < base) then return 0 end
if base < 0 then redis.call('DEL', KEYS[1]) end
for at = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
redis.call('HSET', KEYS[1], 'commit', commit)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
FORGET = "return redis.call('DEL', KEYS[1])"


class NewestReadings(Protocol):
    def read(self, connection: Connection, among: Collection[str] | None = None) -> list[NewestRow]:
        """As queries.newest: every channel's newest reading, or those of the devices of these names."""


class FromSql:
    def read(self, connection: Connection, among: Collection[str] | None = None) -> list[NewestRow]:
        return queries.newest(connection, among=among)


class NewestCache:
    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    def read(self, connection: Connection, among: Collection[str] | None = None) -> list[NewestRow]:
        commit, history = connection.execute(select(Progress.commit, Progress.history)).one()
        key = f"newest:{history}"
        held = self._memory.load(key)
        if held is None:
            return queries.newest(connection, among=among)
        base, rows = _decode(held)
        if base > commit or (held and base < 0):
            # Another reader's snapshot is later than ours, or the database is an older one than it was; or it is none
            # of ours.
            self._memory.run(FORGET, [key], [])
            base, rows = -1, {}
        if base < commit:
            fresh = {row.channel: row for row in queries.newest_measured(connection, base)}
            rows |= fresh
            self._save(key, base, commit, fresh)
        wanted = sorted(
            (row for row in rows.values() if among is None or row.device in among),
            key=lambda row: (row.device, row.channel),
        )
        return queries.corrected(connection, wanted)

    def _save(self, key: str, base: int, commit: int, rows: Mapping[int, NewestRow]) -> None:
        fields: list[bytes | int] = []
        for channel, row in rows.items():
            fields += [channel, msgspec.json.encode(row)]
        self._memory.run(SAVE, [key], [base, commit, SECONDS, *fields])


def _decode(held: Mapping[bytes, bytes]) -> tuple[int, dict[int, NewestRow]]:
    """The commit up to which it is complete, and its rows; (-1, {}) for what is none of ours."""
    try:
        rows = {int(channel): _row(body) for channel, body in held.items() if channel != COMPLETE}
        return int(held.get(COMPLETE, b"-1")), rows
    except (ValueError, msgspec.MsgspecError):
        return -1, {}


def _row(body: bytes) -> NewestRow:
    return msgspec.json.decode(body, type=NewestRow)
