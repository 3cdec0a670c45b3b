"""Readings as a Parquet file and back: the archive's format (backend/README.md). Pure: columns in, bytes out.

A file also says which gaps lie before its readings, in its metadata: so the archive alone names every reading that was
ever sampled, the lost ones too.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
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
    ]
)
DELTA_CODED = ("seq", "t", "received")
DICTIONARY_CODED = [field.name for field in SCHEMA if field.name not in DELTA_CODED]
ORDER = [(name, "ascending") for name in ("device", "t", "stream", "seq")]
IDENTITY = ["device", "stream", "seq"]
# Metadata of a file.
VERSION = {"thermograph": "1"}
GAPS = "gaps"


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


@dataclass(frozen=True, order=True)
class ArchivedGap:
    """Readings of a stream that will never come: seq first to last, and why."""

    device: str
    stream: str
    first: int
    last: int
    cause: str


@dataclass(frozen=True)
class DayDigest:
    """A device's readings of a UTC day: how many, and the sum of their SHA-256 modulo 2^256, whatever their order."""

    day: str
    device: str
    readings: int
    digest: int

    def __add__(self, other: "DayDigest") -> "DayDigest":
        """Of both, which are of one device and day."""
        return replace(self, readings=self.readings + other.readings, digest=(self.digest + other.digest) % 2**256)


class Readings:
    """Many readings as columns, by device and time."""

    def __init__(self, table: pa.Table) -> None:
        """table: of SCHEMA's columns, in any order of rows."""
        self.table = table.sort_by(ORDER)

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> "Readings":
        """columns: name → a list, or what named() made; times in Unix ms."""
        arrays = [
            column.cast(field.type) if isinstance(column, pa.Array) else pa.array(column, field.type)
            for field, column in ((field, columns[field.name]) for field in SCHEMA)
        ]
        return cls(pa.table(arrays, schema=SCHEMA))

    @classmethod
    def of_rows(cls, rows: Iterable[ArchivedReading]) -> "Readings":
        found = list(rows)
        return cls.of_columns({name: [getattr(row, name) for row in found] for name in SCHEMA.names})

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Readings) and bool(self.table.equals(other.table))

    __hash__ = None  # type: ignore[assignment]

    def columns(self) -> dict[str, list[Any]]:
        """name → values; times in Unix ms."""
        return {
            field.name: (
                self.table[field.name].cast(pa.int64()) if pa.types.is_timestamp(field.type) else self.table[field.name]
            ).to_pylist()
            for field in SCHEMA
        }

    def rows(self) -> list[ArchivedReading]:
        return [ArchivedReading(*row) for row in zip(*self.columns().values(), strict=True)]

    def of_device(self, device: str) -> "Readings":
        return Readings(self.table.filter(pc.field("device") == device))

    def by_day(self) -> Iterator[tuple[str, "Readings"]]:
        """(UTC day as YYYY-MM-DD, its readings), by day."""
        days = self.table["t"].cast(pa.date32())
        for day in sorted(pc.unique(days).to_pylist()):
            yield day.isoformat(), Readings(self.table.filter(pc.equal(days, pa.scalar(day, pa.date32()))))

    def digest(self) -> int:
        """The sum of all readings' SHA-256 modulo 2^256."""
        return sum(of_day.digest for of_day in self.digests()) % 2**256

    def digests(self) -> Iterator[DayDigest]:
        """One for each device and day, by day and device."""
        for day, readings in self.by_day():
            sums: dict[str, int] = {}
            devices = readings.table["device"].to_pylist()
            for device, line in zip(devices, _lines(readings.table), strict=True):
                sums[device] = sums.get(device, 0) + int.from_bytes(hashlib.sha256(line).digest(), "big")
            counts = Counter(devices)
            for device, total in sums.items():
                yield DayDigest(day, device, counts[device], total % 2**256)


def union(parts: Sequence[Readings]) -> Readings:
    """Every reading of the parts, once. Raises ValueError when two of them are of one name and not equal."""
    whole = pa.concat_tables([part.table for part in parts] or [SCHEMA.empty_table()])
    distinct = whole.group_by(SCHEMA.names).aggregate([]).select(SCHEMA.names)
    if distinct.group_by(IDENTITY).aggregate([]).num_rows != distinct.num_rows:
        raise ValueError("two objects disagree about a reading")
    # In one piece: where a column is cut into chunks would show in the bytes that it is encoded to.
    return Readings(Readings(distinct.cast(SCHEMA)).table.combine_chunks())


def named(ids: Sequence[int], names: Mapping[int, str]) -> pa.Array:
    """A column of names for a column of ids."""
    coded = pa.array(ids, pa.int64()).dictionary_encode()
    found = pa.array([names[id] for id in coded.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(coded.indices, found).cast(pa.string())


def encode(readings: Readings, gaps: Iterable[ArchivedGap] = ()) -> bytes:
    """The readings as one Parquet file: by device and time, zstd. The same readings and gaps give the same bytes."""
    told = [list(vars(gap).values()) for gap in sorted(gaps)]
    metadata = {**VERSION, **({GAPS: json.dumps(told, separators=(",", ":"))} if told else {})}
    buffer = io.BytesIO()
    with pq.ParquetWriter(
        buffer,
        SCHEMA,
        compression="zstd",
        use_dictionary=DICTIONARY_CODED,
        column_encoding=dict.fromkeys(DELTA_CODED, "DELTA_BINARY_PACKED"),
        store_schema=False,
    ) as writer:
        writer.write_table(readings.table)
        writer.add_key_value_metadata(metadata)
    return buffer.getvalue()


def decode(body: bytes) -> tuple[Readings, list[ArchivedGap]]:
    """The readings and gaps of a file that `encode` made. Raises ValueError when it is none."""
    try:
        table = pq.read_table(pa.BufferReader(body), use_threads=False)
        gaps = [ArchivedGap(*gap) for gap in json.loads((table.schema.metadata or {}).get(GAPS.encode(), b"[]"))]
        return Readings(table.select(SCHEMA.names).cast(SCHEMA)), gaps
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no Parquet file of readings: {error}") from None


def _lines(table: pa.Table) -> list[bytes]:
    """Each reading as bytes: all its fields as text, numbers in the shortest form that means the same number."""
    texts = []
    for field in SCHEMA:
        column = table[field.name]
        if pa.types.is_timestamp(field.type):
            column = column.cast(pa.int64())
        # A fault is never empty, so what is null can be told from what is not.
        texts.append(pc.fill_null(column.cast(pa.string()), ""))
    lines: list[bytes] = pc.binary_join_element_wise(*texts, "\x1f").cast(pa.binary()).to_pylist()
    return lines


def encode_stream(parts: Iterable[Readings]) -> Iterator[bytes]:
    """The parts as one Parquet file, a row group each, bytes as they are written: never more than a part in memory."""
    sink = _Sink()
    with pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"), SCHEMA, compression="zstd", use_dictionary=DICTIONARY_CODED, store_schema=False
    ) as writer:
        for part in parts:
            writer.write_table(part.table)
            yield sink.take()
    yield sink.take()


class _Sink:
    """What pyarrow writes to: bytes that wait to be taken."""

    closed = False

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
