"""Readings as JSON lines, CSV and SenML: pure, rows in, text out, never more than a row in memory."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from ..spreadsheet import inert
from ..temperature import fahrenheit
from .shapes import Json

FAHRENHEIT = "degF"
COLUMNS = (
    "utc", "local", "device", "label", "sensor", "unit", "value", "measured", "fault", "tq", "stream", "seq",
    "received_utc",
)  # fmt: skip
WRITE = 500


class Line(NamedTuple):
    """A reading of an export. value is corrected by `calibration` (0: none), measured is not; both in `unit`."""

    channel: int
    device: str
    label: str
    sensor: str
    unit: str
    stream: str
    seq: int
    t: int
    tq: str
    value: float | None
    measured: float | None
    calibration: int
    fault: str | None
    received: int

    def fahrenheit(self) -> "Line":
        """The same with temperatures in Fahrenheit; other units stay."""
        if self.unit != "Cel":
            return self
        return self._replace(unit=FAHRENHEIT, value=_to_fahrenheit(self.value), measured=_to_fahrenheit(self.measured))


def as_json(line: Line) -> Json:
    shape = line._asdict()
    del shape["label"]
    return shape


def ndjson(lines: Iterable[Line]) -> Iterator[bytes]:
    return _joined(json.dumps(as_json(line), separators=(",", ":")) + "\n" for line in lines)


def csv_text(lines: Iterable[Line], zone: tzinfo) -> Iterator[bytes]:
    """RFC 4180. local: the time in `zone`, with its offset."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for number, line in enumerate(lines, 1):
        writer.writerow(_row(line, zone))
        if number % WRITE == 0:
            yield _emptied(buffer)
    yield _emptied(buffer)


def senml(lines: Iterable[Line]) -> Iterator[bytes]:
    """RFC 8428: one record a reading. A fault has a name of its own, NAME/fault, with the fault as its string."""
    before = "["
    for line in lines:
        name = f"{line.sensor}/{line.unit.replace('%', 'percent')}"
        record: Json = {"bn": f"thermograph/{line.device}/", "n": name, "u": line.unit, "t": line.t / 1000}
        if line.value is None:
            del record["u"]
            record |= {"n": f"{name}/fault", "vs": line.fault or ""}
        else:
            record["v"] = line.value
        yield (before + json.dumps(record, separators=(",", ":"))).encode()
        before = ",\n"
    yield b"[]\n" if before == "[" else b"]\n"


def _row(line: Line, zone: tzinfo) -> list[object]:
    return [
        _utc(line.t),
        datetime.fromtimestamp(line.t / 1000, zone).isoformat(timespec="milliseconds"),
        inert(line.device),
        inert(line.label),
        inert(line.sensor),
        inert(line.unit),
        "" if line.value is None else line.value,
        "" if line.measured is None else line.measured,
        inert(line.fault or ""),
        line.tq,
        line.stream,
        line.seq,
        _utc(line.received),
    ]


def _utc(t: int) -> str:
    return datetime.fromtimestamp(t / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_fahrenheit(celsius: float | None) -> float | None:
    return None if celsius is None else round(fahrenheit(celsius), 6)


def _emptied(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _joined(parts: Iterator[str]) -> Iterator[bytes]:
    batch: list[str] = []
    for part in parts:
        batch.append(part)
        if len(batch) == WRITE:
            yield "".join(batch).encode()
            batch.clear()
    yield "".join(batch).encode()
