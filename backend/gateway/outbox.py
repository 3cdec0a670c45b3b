"""The gateway's outbox: each reading is on disk before its sensor is answered, and stays until the application ack.

SQLite in WAL mode with synchronous=FULL, and not the firmware's ring log: here are thousands of streams that grow and
are freed apart, ids that must be remembered in the same step as the reading, and a file system below. One fsync carries
all that came meanwhile. After kill -9 or a power cut SQLite finds the last commit again by itself.

A full outbox drops the oldest readings of the sensor that holds the most, and these become a gap: `freed` is what the
backend has acknowledged, `dropped` what was lost before that; what waits are the seqs after the higher of both.
"""

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .. import private
from ..errors import MessageRejected, ServiceFailed
from .wire import Kept

REMEMBERED = 64  # ids of a sensor: as many as it may have sent without an answer
SCHEMA = """
CREATE TABLE IF NOT EXISTS sensors (id INTEGER PRIMARY KEY, device TEXT NOT NULL UNIQUE, stream TEXT NOT NULL,
 last INTEGER NOT NULL, freed INTEGER NOT NULL, dropped INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS readings (sensor INTEGER NOT NULL, seq INTEGER NOT NULL, t INTEGER NOT NULL,
 tq TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL, value REAL, fault TEXT,
 PRIMARY KEY (sensor, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (sensor INTEGER NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL,
 PRIMARY KEY (sensor, id)) WITHOUT ROWID;
"""


class Sensor:
    """A legacy sensor's stream. Written by the outbox after each commit, read by everybody."""

    __slots__ = ("device", "dropped", "freed", "id", "last", "stream")

    def __init__(self, id: int, device: str, stream: str, last: int, freed: int, dropped: int) -> None:
        self.id, self.device, self.stream = id, device, stream
        self.last, self.freed, self.dropped = last, freed, dropped

    @property
    def oldest(self) -> int:
        """The seq after which readings wait."""
        return max(self.freed, self.dropped)

    @property
    def waiting(self) -> int:
        return self.last - self.oldest


class Entry(NamedTuple):
    """A reading to be kept. id: of the sensor's own choice, or None."""

    device: str
    id: str | None
    t: int
    tq: str
    name: str
    unit: str
    value: float | None
    fault: str | None


class Outbox:
    def __init__(self, path: Path, capacity: int, most_sensors: int) -> None:
        """capacity: readings. All methods are for one thread at a time. Raises ServiceFailed."""
        private.make_folder(path.parent)
        self.capacity = capacity
        self._most_sensors = most_sensors
        try:
            self._sql = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._sql.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA synchronous=FULL")
            self._sql.executescript(SCHEMA)
            rows = self._sql.execute("SELECT id, device, stream, last, freed, dropped FROM sensors").fetchall()
        except sqlite3.Error as error:
            raise ServiceFailed(
                f"The gateway's outbox {path} cannot be opened: {error}.",
                "Is another gateway running on it? Each needs a THERMOGRAPH_STATE_DIR of its own.",
            ) from None
        self.sensors = {row[1]: Sensor(*row) for row in rows}
        self.waiting = sum(sensor.waiting for sensor in self.sensors.values())

    def close(self) -> None:
        self._sql.close()

    def append(self, entries: Iterable[Entry]) -> list[int | MessageRejected]:
        """Keep them, in one transaction; durable when this returns. The seq of each, or why it is not kept.

        An id that its sensor has used within its last 64 readings gets the seq it had, and nothing is kept twice.
        Raises sqlite3.Error; then none is kept.
        """
        created: dict[str, Sensor] = {}
        lasts: dict[Sensor, int] = {}
        with self._transaction():
            answers = [self._take(entry, created, lasts) for entry in entries]
            moved = [(seq, sensor.id) for sensor, seq in lasts.items()]
            self._sql.executemany("UPDATE sensors SET last = ? WHERE id = ?", moved)
        if created:
            # Another one, not a changed one: other threads may be reading it.
            self.sensors = self.sensors | created
        for sensor, seq in lasts.items():
            self.waiting += seq - sensor.last
            sensor.last = seq
        if self.waiting > self.capacity:
            self._make_room()
        return answers

    def _take(self, entry: Entry, created: dict[str, Sensor], lasts: dict[Sensor, int]) -> int | MessageRejected:
        sensor = self.sensors.get(entry.device) or created.get(entry.device)
        if sensor is None:
            if len(self.sensors) + len(created) >= self._most_sensors:
                return MessageRejected("this gateway knows as many sensors as it may")
            sensor = created[entry.device] = self._create(entry.device)
        before = self._seen(sensor, entry)
        if before is not None:
            return before
        seq = lasts.get(sensor, sensor.last) + 1
        self._keep(sensor, seq, entry)
        lasts[sensor] = seq
        return seq

    def read(self, sensor: Sensor, after: int, most: int) -> list[Kept]:
        """What waits after this seq, oldest first."""
        rows = self._sql.execute(
            "SELECT seq, t, tq, name, unit, value, fault FROM readings"
            " WHERE sensor = ? AND seq > ? ORDER BY seq LIMIT ?",
            (sensor.id, max(after, sensor.oldest), most),
        )
        return [Kept(*row) for row in rows]

    def free(self, acks: dict[str, int]) -> None:
        """Forget up to the acknowledged seq of each device. Acks that say nothing new are passed over."""
        moved = {}
        for device, seq in acks.items():
            sensor = self.sensors.get(device)
            if sensor and sensor.freed < seq <= sensor.last:
                moved[device] = seq
        with self._transaction():
            for device, seq in moved.items():
                sensor = self.sensors[device]
                self._sql.execute("DELETE FROM readings WHERE sensor = ? AND seq <= ?", (sensor.id, seq))
                self._sql.execute("UPDATE sensors SET freed = ? WHERE id = ?", (seq, sensor.id))
        for device, seq in moved.items():
            sensor = self.sensors[device]
            before = sensor.waiting
            sensor.freed = seq
            self.waiting -= before - sensor.waiting

    def renew(self, sensor: Sensor) -> None:
        """A new stream, in which what waits is numbered from 1: the backend has more of the old one than we know of."""
        base, stream = sensor.oldest, new_stream()
        rows = self._sql.execute("SELECT * FROM readings WHERE sensor = ? AND seq > ?", (sensor.id, base)).fetchall()
        with self._transaction():
            self._sql.execute("DELETE FROM readings WHERE sensor = ?", (sensor.id,))
            moved = [(row[0], row[1] - base, *row[2:]) for row in rows]
            self._sql.executemany("INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", moved)
            self._sql.execute("UPDATE ids SET seq = seq - ? WHERE sensor = ?", (base, sensor.id))
            self._sql.execute(
                "UPDATE sensors SET stream = ?, last = last - ?, freed = 0, dropped = 0 WHERE id = ?",
                (stream, base, sensor.id),
            )
        sensor.stream, sensor.last, sensor.freed, sensor.dropped = stream, sensor.last - base, 0, 0

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            self._sql.rollback()
            raise

    def _create(self, device: str) -> Sensor:
        stream = new_stream()
        made = self._sql.execute(
            "INSERT INTO sensors (device, stream, last, freed, dropped) VALUES (?, ?, 0, 0, 0)", (device, stream)
        )
        return Sensor(made.lastrowid or 0, device, stream, 0, 0, 0)

    def _seen(self, sensor: Sensor, entry: Entry) -> int | MessageRejected | None:
        """The seq that this id has; a rejection if it was another reading's; None if it is new."""
        if entry.id is None:
            return None
        query = "SELECT seq, digest FROM ids WHERE sensor = ? AND id = ?"
        found = self._sql.execute(query, (sensor.id, entry.id)).fetchone()
        if found is None:
            return None
        if found[1] != _digest(entry):
            return MessageRejected(f"the id {entry.id} was another reading's")
        return int(found[0])

    def _keep(self, sensor: Sensor, seq: int, entry: Entry) -> None:
        row = (sensor.id, seq, entry.t, entry.tq, entry.name, entry.unit, entry.value, entry.fault)
        self._sql.execute("INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        if entry.id is not None:
            self._sql.execute("DELETE FROM ids WHERE sensor = ? AND seq <= ?", (sensor.id, seq - REMEMBERED))
            self._sql.execute("INSERT INTO ids VALUES (?, ?, ?, ?)", (sensor.id, entry.id, seq, _digest(entry)))

    def _make_room(self) -> None:
        """A hundredth more than needed, so that not every append has to."""
        wanted = self.waiting - self.capacity + self.capacity // 100 + 1
        while wanted > 0:
            sensor = max(self.sensors.values(), key=lambda one: one.waiting)
            count = min(sensor.waiting, wanted)
            dropped = sensor.oldest + count
            with self._transaction():
                self._sql.execute("DELETE FROM readings WHERE sensor = ? AND seq <= ?", (sensor.id, dropped))
                self._sql.execute("UPDATE sensors SET dropped = ? WHERE id = ?", (dropped, sensor.id))
            sensor.dropped = dropped
            self.waiting -= count
            wanted -= count


def new_stream() -> str:
    return secrets.token_hex(4)


def _digest(entry: Entry) -> bytes:
    told = f"{entry.name}\0{entry.unit}\0{entry.value!r}\0{entry.fault}"
    return hashlib.blake2b(told.encode(), digest_size=8).digest()
