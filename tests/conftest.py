"""What tests share: PostgreSQL, and a migrated database on it and on SQLite."""

import uuid
from pathlib import Path

import pytest

from backend.database import Database
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
    """MariaDB takes part where the marker `every_database` says so: what stores readings, not what shows them."""
    chosen = any("database_url" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "database_url" in metafunc.fixturenames and not chosen:
        kinds = ["sqlite", "postgresql"]
        if metafunc.definition.get_closest_marker("every_database"):
            kinds.append("mariadb")
        metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/thermograph.db"
    if request.param == "mariadb":
        return request.getfixturevalue("mariadb").new_database(f"test_{uuid.uuid4().hex}")
    return request.getfixturevalue("postgres").new_database(f"test_{uuid.uuid4().hex}")


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def rows(database):
    return Rows(database)


@pytest.fixture
def channel(rows):
    rows.device()
    return rows.channel()
