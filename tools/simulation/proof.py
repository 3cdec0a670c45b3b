"""Does the database hold exactly what the consoles said was sampled?"""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import select

from backend import ledger
from backend.database import Database
from backend.errors import VerificationFailed
from backend.models import Device as DeviceRow
from backend.models import Reading, Stream

from .device import Device

SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Proof:
    """unsaid: stored, but the power went before the console said so; one a cut. gaps: seqs without a reading."""

    devices: int
    sampled: int
    unsaid: int
    gaps: int


def prove(database: Database, devices: Sequence[Device]) -> Proof:
    """Each reading that a console named is stored once, with its value; nothing else is; nothing waits.

    Raises VerificationFailed, naming what differs, and DatabaseUnavailable.
    """
    faults: list[str] = []
    unsaid = gaps = 0
    with database.read() as connection:
        for device in devices:
            accounts = {one.stream: one for one in ledger.read(connection, device.name)}
            for stream, first in device.first_seq.items():
                said = {seq: value for (name, seq), value in device.sampled.items() if name == stream}
                rows = connection.execute(
                    select(Reading.seq, Reading.value, Reading.fault)
                    .join(Stream, Stream.id == Reading.stream_id)
                    .join(DeviceRow, DeviceRow.id == Stream.device_id)
                    .where(DeviceRow.name == device.name, Stream.stream == stream, Reading.seq >= first)
                )
                stored = {seq: (value, fault) for seq, value, fault in rows}
                named = {
                    seq
                    for gap in (accounts[stream].gaps if stream in accounts else ())
                    for seq in range(max(first, gap.first), gap.last + 1)
                }
                extra = stored.keys() - said.keys()
                unsaid, gaps = unsaid + len(extra), gaps + len(named)
                where = f"{device.name} stream {stream}"
                faults += [f"{where}: {text}" for text in _compare(said, stored, named, first, device.last)]
                if len(extra) > device.cuts + device.crashes:
                    faults.append(f"{where}: {len(extra)} readings that no console named: {_some(extra)}")
                if stream in accounts and accounts[stream].waiting_on_device:
                    faults.append(f"{where}: the ledger says that {accounts[stream].waiting_on_device} wait on it")
    if faults:
        raise VerificationFailed(
            "The database does not hold what was sampled:\n    " + "\n    ".join(faults[: 2 * SHOWN]),
            "The consoles are in each device's folder: console.log.",
        )
    return Proof(len(devices), sum(len(device.sampled) for device in devices), unsaid, gaps)


def _compare(
    said: dict[int, str], stored: dict[int, tuple[float | None, str | None]], named: set[int], first: int, last: int
) -> list[str]:
    found = []
    if missing := said.keys() - stored.keys():
        found.append(f"{len(missing)} readings are not stored: {_some(missing)}")
    if changed := {seq for seq in said.keys() & stored.keys() if stored[seq] != _reading(said[seq])}:
        found.append(f"{len(changed)} readings changed on their way: {_some(changed)}")
    if unnamed := set(range(first, last + 1)) - stored.keys() - named:
        found.append(f"{len(unnamed)} seqs are neither stored nor in a gap: {_some(unnamed)}")
    return found


def _reading(text: str) -> tuple[float | None, str | None]:
    fault = text.removeprefix("fault:")
    return (None, fault) if fault != text else (float(text), None)


def _some(seqs: set[int]) -> str:
    return "seq " + ", ".join(map(str, sorted(seqs)[:SHOWN])) + (", ..." if len(seqs) > SHOWN else "")
