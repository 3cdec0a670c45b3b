"""The tables. Times are Unix milliseconds UTC (int); temperatures are in the channel's SenML unit."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite gives a primary key its rowid only when the type is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


# MySQL's BLOB ends at 64 KiB.
Bytes = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


class Table(DeclarativeBase):
    # MySQL's FLOAT has 32 bits.
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double}


class Device(Table):
    """One board. `enrolled` is 0 while it is new: accepted because enrolment was open, confirmed by nobody yet."""

    __tablename__ = "devices"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    enrolled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str | None] = mapped_column(String(16))
    status_at: Mapped[int | None] = mapped_column(BigInteger)
    health: Mapped[str | None] = mapped_column(Text)
    health_at: Mapped[int | None] = mapped_column(BigInteger)
    label: Mapped[str | None] = mapped_column(String(120))
    place: Mapped[str | None] = mapped_column(String(120))
    note: Mapped[str | None] = mapped_column(Text)


class Channel(Table):
    """One measured series of a device: sensor id and unit."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("device_id", "sensor", "unit"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    sensor: Mapped[str] = mapped_column(String(64))
    unit: Mapped[str] = mapped_column(String(16))


class Calibration(Table):
    """A correction of a channel's values: gain * raw + offset. Revisions are only added; the newest counts."""

    __tablename__ = "calibrations"
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    gain: Mapped[float]
    offset: Mapped[float]
    created: Mapped[int] = mapped_column(BigInteger)


class DeviceRun(Table):
    """What a device said that it runs, from `since` (Unix ms, received) on: firmware's version, settings' revision."""

    __tablename__ = "device_runs"
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    since: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    firmware: Mapped[str] = mapped_column(String(64))
    settings: Mapped[int] = mapped_column(BigInteger)


class Stream(Table):
    """One life of an Outbox, and how far its readings have come.

    sampled: highest seq the device ever spoke of. position: accounted for (stored or a gap), contiguously, up to here.
    frozen: in a batch, or a gap, up to here. archived: number of readings in uploaded objects.
    """

    __tablename__ = "streams"
    __table_args__ = (UniqueConstraint("device_id", "stream"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    stream: Mapped[str] = mapped_column(String(8))
    sampled: Mapped[int] = mapped_column(BigInteger, default=0)
    position: Mapped[int] = mapped_column(BigInteger, default=0)
    frozen: Mapped[int] = mapped_column(BigInteger, default=0)
    archived: Mapped[int] = mapped_column(BigInteger, default=0)


class Span(Table):
    """A run of seq that is accounted for: stored when `cause` is null, else a gap with that cause.

    The spans of a stream never overlap. Together they are its side of the ledger.
    """

    __tablename__ = "spans"
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id"), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str | None] = mapped_column(String(32))


class Reading(Table):
    """The hot window: one row a reading. Exactly one of value and fault is set.

    On PostgreSQL in a table a month of t (partitions.py), each with the key (stream_id, seq) of its own. That no other
    month has the same reading is seen to by spans: ingest inserts only what no span accounts for.

    Without foreign keys: ingest takes both ids from their tables in the same transaction, and to look them up again for
    every row would cost as much as the row.
    """

    __tablename__ = "readings"
    __table_args__ = (Index("readings_by_channel", "channel_id", "t"), {"sqlite_with_rowid": False})
    stream_id: Mapped[int] = mapped_column(Id, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    channel_id: Mapped[int] = mapped_column(Id)
    t: Mapped[int] = mapped_column(BigInteger)
    tq: Mapped[str] = mapped_column(String(9))
    value: Mapped[float | None]
    fault: Mapped[str | None] = mapped_column(String(32))
    received: Mapped[int] = mapped_column(BigInteger)


class Newest(Table):
    """The newest committed reading of each channel, and the number of the commit that brought it."""

    __tablename__ = "newest"
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"), primary_key=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    t: Mapped[int] = mapped_column(BigInteger)
    tq: Mapped[str] = mapped_column(String(9))
    value: Mapped[float | None]
    fault: Mapped[str | None] = mapped_column(String(32))
    received: Mapped[int] = mapped_column(BigInteger)
    commit: Mapped[int] = mapped_column("commit_number", BigInteger, index=True)


class Rollup(Table):
    """What a channel measured in one bucket of `width` ms, from `start` (a multiple of width) on.

    first, last: times of its earliest and latest reading; low, high, total: minimum, maximum and sum of its values
    (low and high are null while all are faults); count: how many values; faults: how many faults.
    Every stored reading is counted once in its bucket of each width (rollup.WIDTHS), late ones too.
    """

    __tablename__ = "rollups"
    __table_args__ = ({"sqlite_with_rowid": False},)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"), primary_key=True)
    width: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    low: Mapped[float | None]
    high: Mapped[float | None]
    total: Mapped[float]
    count: Mapped[int] = mapped_column(BigInteger)
    faults: Mapped[int] = mapped_column(BigInteger)


class Progress(Table):
    """One row: the number of the last commit that changed anything a page shows. Live pages watch it.

    history: a random name of this history of commits: the same number of another database means something else.
    """

    __tablename__ = "progress"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    commit: Mapped[int] = mapped_column("commit_number", BigInteger)
    history: Mapped[str] = mapped_column(String(32))


class Rejected(Table):
    """A message that could not be taken, with the reason and its first bytes (all of them up to 4 KiB)."""

    __tablename__ = "rejected"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    received: Mapped[int] = mapped_column(BigInteger)
    topic: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))


class Batch(Table):
    """The rows of one archive object, frozen before upload.

    `body` holds the object's very bytes until S3 has them: a retry cannot write anything else.
    dropped_at: when its rows left `readings`, after the object had been read back from S3 and was equal to them.
    """

    __tablename__ = "batches"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    day: Mapped[str] = mapped_column(String(10), index=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    frozen_at: Mapped[int] = mapped_column(BigInteger)
    uploaded_at: Mapped[int | None] = mapped_column(BigInteger, index=True)
    body: Mapped[bytes | None] = mapped_column(Bytes)
    dropped_at: Mapped[int | None] = mapped_column(BigInteger)


class BatchSpan(Table):
    """Which readings a batch holds: those of the stream from first to last whose UTC day is the batch's day."""

    __tablename__ = "batch_spans"
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id"), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)


class Lease(Table):
    """Who alone may do a thing, over all machines: `holder` raises `beats` while it lives (lease.py)."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    beats: Mapped[int] = mapped_column(BigInteger)


class WantedSettings(Table):
    """The settings that a device is wanted to have: one row a device, its newest revision.

    body: the fields as JSON. published_at: when the broker had taken this revision; null: it waits for that.
    """

    __tablename__ = "wanted_settings"
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[int] = mapped_column(BigInteger)
    changed_by: Mapped[str] = mapped_column(String(120))
    published_at: Mapped[int | None] = mapped_column(BigInteger)
