"""What MariaDB and MySQL do otherwise, and what is done about it. The data path's own tests run on it too."""

import random

import pytest
from alembic import command
from sqlalchemy import insert, inspect, select, update
from sqlalchemy.exc import DBAPIError

from backend.bulk import Bulk
from backend.database import Database, _alembic, add_missing, insert_one, upsert
from backend.errors import DatabaseUnavailable
from backend.ingest import Ingest
from backend.models import Batch, Channel, Device, Newest, Reading, Rollup
from tests.backend.test_commit import telemetry
from tests.servers import MariaDB

DEVICE = {"name": "fridge-1", "enrolled": True, "created": 0}


@pytest.fixture
def database(databases, mariadb, tmp_path):
    database = Database(databases.migrated("mariadb", tmp_path))
    yield database
    database.close()
    mariadb.drop_database(database.name)


def test_every_bit_of_a_value_comes_back(database):
    chance = random.Random(5)
    values = [chance.uniform(-100, 100) * 10.0 ** chance.randrange(-300, 300) for _ in range(500)]
    values += [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 21.4375]
    with database.write() as connection:
        rows = [(1, seq, 1, seq, "ntp", value, None, 5) for seq, value in enumerate(values, 1)]
        Bulk(connection).insert_readings(rows)
        sums = [(1, 300_000, seq * 300_000, 1, 2, value, value, value, 1, 0) for seq, value in enumerate(values[:50])]
        insert_one(connection, Device, DEVICE)
        connection.execute(insert(Channel), {"device_id": 1, "sensor": "s", "unit": "Cel"})
        Bulk(connection).add_rollups(sums)
    with database.read() as connection:
        assert connection.scalars(select(Reading.value).order_by(Reading.seq)).all() == values
        assert connection.scalars(select(Rollup.total).order_by(Rollup.start)).all() == values[:50]


def test_texts_are_equal_only_if_their_bytes_are(database):
    """Whatever collation the database was made with: the tests' one is latin1's."""
    with database.write() as connection:
        device = insert_one(connection, Device, DEVICE)
        kinds = [
            ("a", "Cel"),
            ("A", "Cel"),
            ("a", "cel"),
            ("\N{DEGREE SIGN}", "Cel"),
            ("a ", "Cel"),
            ("\N{SNOWFLAKE}", "Cel"),
        ]
        Bulk(connection).insert_missing(
            Channel, ("device_id", "sensor", "unit"), [(device, *kind) for kind in kinds + kinds]
        )
        found = connection.execute(select(Channel.sensor, Channel.unit)).all()
    assert sorted(map(tuple, found)) == sorted(kinds)


def test_what_does_not_fit_is_refused_and_not_clipped(database):
    row = (1, 1, 1, 1, "ntp", 1.0, None, 5)
    for wrong in ((*row[:4], "t" * 10, *row[5:]), (*row[:3], 2**63, *row[4:]), (*row[:3], None, *row[4:])):
        with pytest.raises(DBAPIError) as caught, database.write() as connection:
            Bulk(connection).insert_readings([wrong])
        # Not as if the server were away: that would be tried for ever.
        assert type(caught.value).__name__ in ("DataError", "IntegrityError")


def test_an_objects_bytes_may_be_many(database):
    body = random.Random(1).randbytes(3_000_000)
    batch = {"day": "2025-11-22", "key": "k", "sha256": "0" * 64, "size": len(body), "rows": 1, "frozen_at": 1}
    with database.write() as connection:
        insert_one(connection, Batch, {**batch, "body": body})
    with database.read() as connection:
        assert connection.scalar(select(Batch.body)) == body


def test_ids_missing_rows_and_replaced_ones(database):
    with database.write() as connection:
        first = insert_one(connection, Device, DEVICE)
        add_missing(connection, Device, [DEVICE, {**DEVICE, "name": "other"}])
        second = connection.scalar(select(Device.id).where(Device.name == "other"))
        assert second != first
        upsert(connection, Device, [{**DEVICE, "id": first, "created": 7}])
        assert connection.scalar(select(Device.created).where(Device.id == first)) == 7


def test_a_server_that_was_restarted_is_used_again(tmp_path):
    with MariaDB.running() as server:
        database = Database(server.new_database("journey"))
        database.migrate()
        ingest = Ingest(database, bus=None, enrolment="open")
        ingest.commit([telemetry(1, 3)])
        server.kill()
        with pytest.raises(DatabaseUnavailable) as caught:
            ingest.commit([telemetry(4, 3)])
        assert "journey" in str(caught.value)
        server.start()
        assert ingest.commit([telemetry(1, 3), telemetry(4, 3)]).stored == 3
        with database.read() as connection:
            assert connection.scalars(select(Reading.seq).order_by(Reading.seq)).all() == [1, 2, 3, 4, 5, 6]
            assert connection.scalar(select(Newest.seq)) == 6
        database.close()


def test_a_deadlock_and_a_connection_that_was_cut_are_tried_again(database):
    with database.write() as connection:
        connection.execute(insert(Device), [{**DEVICE, "name": name} for name in ("a", "b")])
    with pytest.raises(DatabaseUnavailable), database.write() as connection:
        own = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
        with database.read() as other:
            other.exec_driver_sql(f"KILL {own}")
        connection.execute(update(Device).values(created=1))
    with database.write() as one:
        one.execute(update(Device).where(Device.name == "a").values(created=2))
        with pytest.raises(DatabaseUnavailable), database.write() as other:
            other.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
            other.execute(update(Device).where(Device.name == "a").values(created=3))


def test_a_password_that_is_wrong_is_not_shown(mariadb):
    database = Database(mariadb.url("nothing"), "hunter2")
    with pytest.raises(DatabaseUnavailable) as caught, database.read():
        pass
    assert "hunter2" not in str(caught.value)
    database.close()


@pytest.mark.every_database
def test_migrations_run_up_and_down_and_up(empty_database_url):
    database = Database(empty_database_url)
    database.migrate()
    with database.write() as connection:
        connection.execute(insert(Device), DEVICE)
    for revision in ("0004", "0001", "head"):
        with database.write() as connection:
            (command.upgrade if revision == "head" else command.downgrade)(_alembic(connection), revision)
    database.check_revision()
    with database.write() as connection:
        assert connection.scalars(select(Device.name)).all() == ["fridge-1"]
        command.downgrade(_alembic(connection), "base")
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    database.close()


def test_a_server_that_may_lose_commits_is_named(database, caplog):
    database.check_revision()
    assert "innodb_flush_log_at_trx_commit" in caplog.text
