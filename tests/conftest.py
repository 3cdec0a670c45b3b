"""What tests share: PostgreSQL, and a migrated database on it and on SQLite."""

import tempfile
import uuid
from pathlib import Path

import pytest

from backend.database import Database
from tests.rows import Rows
from tests.servers import Postgres, program


@pytest.fixture(scope="session")
def postgres():
    if not program("postgres"):
        pytest.skip("PostgreSQL is not installed: python -m tools setup --for test")
    # Not pytest's folder: that is for its owner only, and the server does not run as root.
    with tempfile.TemporaryDirectory(prefix="thermograph-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "server")
        server.start()
        yield server
        server.close()


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
