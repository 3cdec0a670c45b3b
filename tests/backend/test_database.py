"""The database's own promises, on SQLite and PostgreSQL."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, select, text

from backend import partitions
from backend.accounts import tables as of_accounts  # noqa: F401 - these tables belong to the metadata
from backend.alerts import tables as of_alerts  # noqa: F401
from backend.api import tables as of_api  # noqa: F401
from backend.database import Database
from backend.errors import DatabaseUnavailable, SettingsError
from backend.models import Device, Table

pytestmark = pytest.mark.every_database

DEVICE = {"name": "fridge-1", "enrolled": True, "created": 0}


def is_no_month(name, kind, _parents):
    return kind != "table" or not (name == partitions.REST or partitions.NAME.fullmatch(name))


def test_the_migrations_make_the_tables_that_the_models_describe(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_no_month})
        assert compare_metadata(context, Table.metadata) == []


def test_migrating_twice_changes_nothing_and_keeps_the_rows(database):
    with database.write() as connection:
        connection.execute(insert(Device), DEVICE)
    database.migrate()
    database.check_revision()
    with database.read() as connection:
        assert connection.scalars(select(Device.name)).all() == ["fridge-1"]


def test_tables_that_are_not_there_are_named_with_what_to_do(empty_database_url):
    database = Database(empty_database_url)
    with pytest.raises(SettingsError, match="python -m backend migrate"):
        database.check_revision()
    database.close()


def test_an_exception_rolls_back(database):
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(insert(Device), DEVICE)
        raise ZeroDivisionError
    with database.read() as connection:
        assert connection.scalars(select(Device.name)).all() == []


def test_a_reader_sees_one_snapshot(database):
    with database.read() as reader:
        before = reader.scalars(select(Device.name)).all()
        with database.write() as writer:
            writer.execute(insert(Device), DEVICE)
        assert reader.scalars(select(Device.name)).all() == before == []


def test_sqlite_is_durable_at_commit(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/d.db")
    with database.read() as connection:
        # synchronous=FULL is 2: the application ack promises that a power cut takes nothing.
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()


def test_a_server_that_does_not_answer_is_unavailable_and_no_password_shown():
    database = Database("postgresql+psycopg://somebody@127.0.0.1:1/thermograph", "hunter2")
    with pytest.raises(DatabaseUnavailable) as caught, database.read():
        pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "oracle://host/name", "sqlite"])
def test_a_url_that_is_none_is_a_settings_error(url):
    with pytest.raises(SettingsError):
        Database(url)
