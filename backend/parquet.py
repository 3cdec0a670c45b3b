"""Readings as a Parquet file and back: the archive's format (backend/README.md). Pure: rows in, bytes out."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("device", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("t", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("tq", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("fault", pa.string()),
        pa.field("received", pa.timestamp("ms", tz="UTC"), nullable=False),
    ],
    metadata={"thermograph": "1"},
)
DELTA_CODED = ("seq", "t", "received")
DICTIONARY_CODED = [field.name for field in SCHEMA if field.name not in DELTA_CODED]


@dataclass(frozen=True, order=True)
class ArchivedReading:
    """One row of the archive. t, received: Unix ms UTC; value in unit, or None and a fault."""

    device: str
    stream: str
    seq: int
    sensor: str
    unit: str
    t: int
    tq: str
    value: float | None
    fault: str | None
    received: int

    def digest(self) -> bytes:
        """SHA-256 over every field: two rows with one digest are the same reading."""
        return hashlib.sha256(repr(tuple(vars(self).values())).encode()).digest()


def encode(readings: Iterable[ArchivedReading]) -> bytes:
    """The readings as one Parquet file: by device and time, zstd. The same readings give the same bytes."""
    ordered = sorted(readings, key=lambda reading: (reading.device, reading.t, reading.stream, reading.seq))
    table = pa.table(
        {
            name: pa.array([getattr(reading, name) for reading in ordered], SCHEMA.field(name).type)
            for name in SCHEMA.names
        },
        schema=SCHEMA,
    )
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        use_dictionary=DICTIONARY_CODED,
        column_encoding=dict.fromkeys(DELTA_CODED, "DELTA_BINARY_PACKED"),
        store_schema=False,
    )
    return buffer.getvalue()


def decode(body: bytes) -> list[ArchivedReading]:
    """The readings of a file that `encode` made. Raises ValueError when it is none."""
    try:
        table = pq.read_table(io.BytesIO(body)).cast(SCHEMA)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"no Parquet file of readings: {error}") from None
    columns = [
        (table[name].cast(pa.int64()) if pa.types.is_timestamp(SCHEMA.field(name).type) else table[name]).to_pylist()
        for name in SCHEMA.names
    ]
    return [ArchivedReading(*row) for row in zip(*columns, strict=True)]
