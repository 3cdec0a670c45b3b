"""Is what was sampled in S3, each reading once, and does the ledger say so? Asked of S3 and of SQL."""

from collections import Counter
from typing import NamedTuple

import pyarrow
import pyarrow.parquet
from sqlalchemy import func, select

from backend import ledger
from backend.database import Database
from backend.models import Reading, Rollup, Stream
from backend.objects import ObjectStore
from backend.rollup import WIDTHS
from backend.settings import Settings
from backend.verify import Finding, Verification, verify
from tests.end_to_end.fleet import Fleet, Key, Value


class Broken(AssertionError):
    """The promise is broken; the text says where."""


class Account(NamedTuple):
    sampled: int
    stored: int
    archived: int
    lost: int


def account(database: Database) -> Account:
    """The sums of the ledger."""
    with database.read() as connection:
        streams = ledger.read(connection)
    return Account(*(sum(getattr(stream, name) for stream in streams) for name in Account._fields))


class OnceRead(ObjectStore):
    """S3, each version of an object read once: look() asks for the ETags, which S3 has made of the bytes it holds."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._tags: dict[str, str] = {}
        self._read: dict[str, tuple[str, bytes]] = {}
        self._rows: dict[str, tuple[bytes, list[tuple[Key, Value]]]] = {}

    def look(self) -> None:
        """From now on get() gives what is there now."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        self._tags = {
            entry["Key"][len(self.prefix) :]: entry["ETag"] for page in pages for entry in page.get("Contents", ())
        }

    def get(self, key: str) -> bytes:
        tag = self._tags.get(key, "")
        known, body = self._read.get(key, ("", b""))
        if not tag or tag != known:
            body = super().get(key)
            self._read[key] = tag, body
        return body

    def rows(self) -> list[tuple[Key, Value]]:
        """Every row of every object."""
        found = []
        for key in sorted(key for key in self._tags if key.startswith("day=")):
            body = self.get(key)
            if key not in self._rows or self._rows[key][0] is not body:
                self._rows[key] = body, _rows(body)
            found += self._rows[key][1]
        return found


def archived(store: ObjectStore) -> list[tuple[Key, Value]]:
    """Every row of every object."""
    return [row for entry in store.list("day=") for row in _rows(store.get(entry.key))]


def verified(database: Database, store: ObjectStore) -> None:
    """What `tools verify` does. Raises Broken with its first findings."""
    findings = [news for news in verify(database, store, Verification()) if isinstance(news, Finding)]
    if findings:
        raise Broken(f"verify disagrees {len(findings)} times: {findings[:3]}")


def count_archived(database: Database) -> int:
    """What the ledger's streams sum up to, by the cheapest question."""
    with database.read() as connection:
        return int(connection.scalar(select(func.sum(Stream.archived))) or 0)


def judge(fleet: Fleet, database: Database, found: list[tuple[Key, Value]]) -> None:
    """All that the fleet sampled is in `found` once, as measured; ledger, gaps and rollups add up. Raises Broken."""
    counts = Counter(key for key, _ in found)
    _none("doubled in S3", [key for key, count in counts.items() if count > 1])
    _none("lost", fleet.readings.keys() - counts.keys())
    _none("in S3, but never sampled", counts.keys() - fleet.readings.keys())
    _none("changed on its way", [key for key, value in found if fleet.readings[key] != value])
    with database.read() as connection:
        streams = ledger.read(connection)
        rolled = connection.execute(
            select(Rollup.width, func.sum(Rollup.count + Rollup.faults)).group_by(Rollup.width)
        ).all()
        kept = connection.scalar(select(func.count()).select_from(Reading))
    told = {
        (stream.device, stream.stream, seq)
        for stream in streams
        for gap in stream.gaps
        for seq in range(gap.first, gap.last + 1)
    }
    _none("in the ledger's gaps or the device's, not in both", told ^ fleet.gaps)
    sums = Account(*(sum(getattr(stream, name) for stream in streams) for name in Account._fields))
    n, lost = len(fleet.readings), len(fleet.gaps)
    if sums != Account(n + lost, n, n, lost):
        raise Broken(f"the ledger does not add up: {sums}, but {n} were sampled, and {lost} lost")
    if kept > n:
        raise Broken(f"{kept} rows in SQL of {n} readings")
    if len(rolled) != len(WIDTHS):
        raise Broken(f"there are rollups of {len(rolled)} widths, not of {len(WIDTHS)}")
    for width, readings in rolled:
        if readings != n:
            raise Broken(f"the rollups of {width} ms count {readings} readings, not {n}")


def _rows(body: bytes) -> list[tuple[Key, Value]]:
    """Decoded here, not by the code that is judged."""
    columns = ["device", "stream", "seq", "t", "value", "fault"]
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(body), columns=columns, use_threads=False)
    table = table.set_column(3, "t", table["t"].cast(pyarrow.int64()))
    return [((device, stream, seq), (t, value, fault)) for device, stream, seq, t, value, fault in zip(
        *(column.to_pylist() for column in table.columns), strict=True
    )]  # fmt: skip


def _none(what: str, keys) -> None:
    if keys:
        shown = ", ".join("{} {} seq {}".format(*key) for key in sorted(keys)[:5])
        raise Broken(f"{len(keys)} readings {what}: {shown}{', ...' if len(keys) > 5 else ''}")
