"""Rows as ingest commits them, for tests of what reads them; and a demonstration that fills a page.

python -m tests.rows sqlite:///var/demo.db
"""

import json
import math
import random
import sys
import time

from sqlalchemy import func, insert, select, update

from backend import ledger, rollup
from backend.bulk import Bulk
from backend.database import Database, upsert
from backend.models import Channel, Device, Newest, Progress, Reading, Span, Stream


def now() -> int:
    return time.time_ns() // 1_000_000


class Rows:
    """Each method is one commit, numbered as ingest numbers them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def device(self, name="fridge-1", enrolled=True, stream="9f3a1c02", status="online", health=None) -> None:
        with self.database.write() as connection:
            connection.execute(
                insert(Device).values(
                    name=name, enrolled=enrolled, created=now(), status=status, status_at=now(), health=health
                )
            )
            device = connection.execute(select(Device.id).where(Device.name == name)).scalar_one()
            connection.execute(
                insert(Stream).values(device_id=device, stream=stream, sampled=0, position=0, frozen=0, archived=0)
            )
            self._number(connection)

    def channel(self, device="fridge-1", sensor="28ff641e8216c3a1", unit="Cel") -> int:
        with self.database.write() as connection:
            device_id = connection.execute(select(Device.id).where(Device.name == device)).scalar_one()
            connection.execute(insert(Channel).values(device_id=device_id, sensor=sensor, unit=unit))
            return connection.execute(select(func.max(Channel.id))).scalar_one()

    def readings(self, channel: int, found: list, tq="ntp") -> int:
        """found: (t, value or a fault's name), oldest first. The commit's number."""
        with self.database.write() as connection:
            stream = self._stream(connection, channel)
            rows = [
                {
                    "stream_id": stream.id,
                    "seq": stream.sampled + 1 + i,
                    "channel_id": channel,
                    "t": t,
                    "tq": tq,
                    "value": None if isinstance(value, str) else value,
                    "fault": value if isinstance(value, str) else None,
                    "received": now(),
                }
                for i, (t, value) in enumerate(found)
            ]
            connection.execute(insert(Reading), rows)
            buckets = rollup.rows([row["t"] for row in rows], [row["value"] for row in rows])
            Bulk(connection).add_rollups([(channel, *bucket) for bucket in buckets])
            self._claim(connection, stream, len(rows), None)
            number = self._number(connection)
            upsert(connection, Newest, [{**rows[-1], "commit_number": number}])
            return number

    def gap(self, channel: int, readings: int, cause="flash-full") -> None:
        with self.database.write() as connection:
            self._claim(connection, self._stream(connection, channel), readings, cause)
            self._number(connection)

    def set_stream(self, channel: int, **values) -> None:
        with self.database.write() as connection:
            stream = self._stream(connection, channel)
            connection.execute(update(Stream).where(Stream.id == stream.id).values(**values))
            self._number(connection)

    def set_device(self, name: str, **values) -> None:
        with self.database.write() as connection:
            connection.execute(update(Device).where(Device.name == name).values(**values))
            self._number(connection)

    def _stream(self, connection, channel: int):
        return connection.execute(
            select(Stream.id, Stream.sampled)
            .join(Channel, Channel.device_id == Stream.device_id)
            .where(Channel.id == channel)
        ).one()

    def _claim(self, connection, stream, readings: int, cause: str | None) -> None:
        first, last = stream.sampled + 1, stream.sampled + readings
        connection.execute(insert(Span).values(stream_id=stream.id, first=first, last=last, cause=cause))
        connection.execute(update(Stream).where(Stream.id == stream.id).values(sampled=last, position=last))

    def _number(self, connection) -> int:
        connection.execute(update(Progress).values(commit=Progress.commit + 1))
        return connection.execute(select(Progress.commit)).scalar_one()


def demonstrate(database: Database) -> None:
    """An hour of a fridge with a spike, faults and a gap; a greenhouse with two channels; a device long silent."""
    rows, chance, end = Rows(database), random.Random(7), now()
    health = {"firmware": "0.1.0", "rssi": -61, "uptime": 73_400, "reset": "power-on", "free": 81_232}
    health["outbox"] = {"depth": 12, "capacity": 65_024}
    rows.device("fridge-1", health=json.dumps(health))
    fridge = rows.channel("fridge-1")
    hour = []
    for i in range(360):
        t = end - (359 - i) * 10_000
        value = round((4.4 + 0.9 * math.sin(i / 17) + chance.gauss(0, 0.04)) * 16) / 16
        if i == 250:
            value = 9.875
        if i in (90, 91, 200):
            value = "crc"
        if not 130 <= i < 155:
            hour.append((t, value))
    rows.readings(fridge, [(t - 3_600_000 * 5, 4.5) for t, _ in hour])
    rows.gap(fridge, 25)
    rows.readings(fridge, hour)
    rows.set_stream(fridge, sampled=707, archived=540)
    rows.device("greenhouse", enrolled=False, stream="51b20e77")
    warm, damp = rows.channel("greenhouse", "dht22", "Cel"), rows.channel("greenhouse", "dht22", "%RH")
    times = [end - (59 - i) * 60_000 for i in range(60)]
    rows.readings(warm, [(t, round(19 + 3 * math.sin(i / 20) + chance.gauss(0, 0.1), 1)) for i, t in enumerate(times)])
    rows.readings(damp, [(t, round(61 - 8 * math.sin(i / 20) + chance.gauss(0, 0.4), 1)) for i, t in enumerate(times)])
    rows.device("freezer-cellar", stream="00c41fee", status="offline")
    cold = rows.channel("freezer-cellar", "28ff9a3b62170441")
    rows.readings(cold, [(end - 1_500_000 - (30 - i) * 60_000, -18.5 - chance.random()) for i in range(30)])
    rows.device("boiler", stream="77aa0001")
    boiler = rows.channel("boiler", "28ff000000000b01")
    rows.readings(boiler, [(end - (20 - i) * 60_000, 55.25 + i / 4 if i < 19 else "absent") for i in range(21)])


def test_rows_keep_a_ledger_that_adds_up(database):
    demonstrate(database)
    with database.read() as connection:
        streams = ledger.read(connection)
    assert len(streams) == 4
    for stream in streams:
        assert stream.sampled == stream.stored + stream.lost + stream.waiting_on_device


if __name__ == "__main__":
    demonstration = Database(sys.argv[1])
    demonstration.migrate()
    demonstrate(demonstration)
