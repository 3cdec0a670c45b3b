"""What tests share: PostgreSQL, and a migrated database on it and on SQLite."""

import uuid

import pytest

from backend.database import Database
from tests.rows import Rows
from tests.servers import Postgres, program


@pytest.fixture(scope="session")
def postgres():
    if not program("postgres"):
        pytest.skip("PostgreSQL is not installed: python -m tools setup --for test")
    with Postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/thermograph.db"
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
