"""Bulk statements, on SQLite and PostgreSQL."""

import pytest
from sqlalchemy import select

from backend.bulk import CHUNK, Bulk
from backend.errors import DatabaseUnavailable
from backend.models import Device, Reading, Stream

pytestmark = pytest.mark.every_database


def readings(database):
    columns = (Reading.stream_id, Reading.seq, Reading.t, Reading.tq, Reading.value, Reading.fault)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(Reading.stream_id, Reading.seq))]


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK - 1])
def test_every_row_arrives_as_it_was(database, count):
    values = [1 / 3, -273.15, 1e-300, 21.0]
    good = [(1, n, 1, n * 1000, "ntp", values[n % 4], None, 5) for n in range(1, count + 1)]
    # Every seventh is a fault.
    rows = [row if row[1] % 7 else (*row[:4], "estimated", None, "crc", 5) for row in good]
    with database.write() as connection:
        Bulk(connection).insert_readings(rows)
    assert readings(database) == [(row[0], row[1], *row[3:7]) for row in rows]


def test_a_reading_that_is_there_stays_as_it_was_and_the_others_come(database):
    with database.write() as connection:
        Bulk(connection).insert_readings([(1, 2, 1, 2000, "ntp", 2.5, None, 5)])
    with database.write() as connection:
        Bulk(connection).insert_readings([(1, n, 1, n, "rtc", 9.5, None, 5) for n in range(1, 4)])
    assert [row[1:5] for row in readings(database)] == [
        (1, 1, "rtc", 9.5),
        (2, 2000, "ntp", 2.5),
        (3, 3, "rtc", 9.5),
    ]


def test_select_by_many_keys_and_by_none(database):
    names = [f"device-{n}" for n in range(1000)]
    with database.write() as connection:
        bulk = Bulk(connection)
        bulk.insert(Device, ("name", "enrolled", "created"), [(name, True, 0) for name in names])
        assert len(bulk.select("SELECT id FROM devices WHERE name IN :keys", names[:700])) == 700
        assert bulk.select("SELECT id FROM devices WHERE name IN :keys", []) == []


def test_streams_move_and_upserts_replace(database):
    with database.write() as connection:
        bulk = Bulk(connection)
        bulk.insert(Device, ("id", "name", "enrolled", "created"), [(1, "a", True, 0)])
        columns = ("id", "device_id", "stream", "sampled", "position", "frozen", "archived")
        bulk.insert(Stream, columns, [(n, 1, f"{n:08x}", 0, 0, 0, 0) for n in range(1, 4)])
        bulk.move_streams([(1, 10, 9), (3, 30, 29)])
        bulk.upsert(Device, ("id", "name", "enrolled", "created"), [(1, "a", False, 7)])
    with database.read() as connection:
        moved = connection.execute(select(Stream.id, Stream.sampled, Stream.position).order_by(Stream.id)).all()
        assert [tuple(row) for row in moved] == [(1, 10, 9), (2, 0, 0), (3, 30, 29)]
        assert connection.execute(select(Device.enrolled, Device.created)).one() == (False, 7)


def test_a_server_that_goes_during_a_copy_is_unavailable(database):
    if database.engine.dialect.name != "postgresql":
        pytest.skip("only PostgreSQL has COPY")
    with pytest.raises(DatabaseUnavailable), database.write() as connection:
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with database.read() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        Bulk(connection).insert_readings([(1, 1, 1, 1, "ntp", 1.0, None, 1)])
    with database.write() as connection:
        Bulk(connection).insert_readings([(1, 1, 1, 1, "ntp", 1.0, None, 1)])
    assert len(readings(database)) == 1
