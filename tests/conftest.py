"""What tests share: PostgreSQL, and a migrated database on it and on SQLite."""

from pathlib import Path

import pytest

from backend.database import Database
from tests.databases import Databases
from tests.rows import Rows
from tests.servers import MariaDB, Postgres, Redis, program

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def postgres():
    if not program("postgres"):
        pytest.skip("PostgreSQL is not installed: python -m tools setup --for test")
    with Postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb():
    if not program("mariadbd"):
        pytest.skip("MariaDB is not installed: python -m tools setup --for test")
    with MariaDB.running() as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    if not program("redis-server"):
        pytest.skip("Redis is not installed: python -m tools setup --for test")
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.close()


# These wait for outages to end, one after another: begun last, they would be what everybody waits for.
FIRST = ("end_to_end/test_no_reading_lost.py", "end_to_end", "firmware")


def pytest_collection_modifyitems(items):
    def place(item):
        path = item.path.relative_to(HERE).as_posix()
        return next((number for number, beginning in enumerate(FIRST) if path.startswith(beginning)), len(FIRST))

    items.sort(key=place)


def pytest_generate_tests(metafunc):
    """On SQLite and PostgreSQL, unless `sqlite_only`; on MariaDB where the marker `every_database` says so: what stores
    readings, not what shows them."""
    if "database_kind" not in metafunc.fixturenames:
        return
    kinds = ["sqlite"]
    if not metafunc.definition.get_closest_marker("sqlite_only"):
        kinds.append("postgresql")
    if metafunc.definition.get_closest_marker("every_database"):
        kinds.append("mariadb")
    metafunc.parametrize("database_kind", kinds)


@pytest.fixture(scope="session")
def databases(request, tmp_path_factory):
    fixtures = {"postgresql": "postgres", "mariadb": "mariadb"}
    return Databases(tmp_path_factory.mktemp("databases"), lambda kind: request.getfixturevalue(fixtures[kind]))


@pytest.fixture
def empty_database_url(databases, database_kind, tmp_path):
    return databases.empty(database_kind, tmp_path)


@pytest.fixture
def database_url(databases, database_kind, tmp_path):
    """Of one that has all tables and no rows."""
    return databases.migrated(database_kind, tmp_path)


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def rows(database):
    return Rows(database)


@pytest.fixture
def channel(rows):
    rows.device()
    return rows.channel()
