"""What the backend's tests share: a migrated database, on SQLite and on PostgreSQL."""

import uuid

import pytest

from backend.database import Database
from tests.servers import Postgres, program


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    if not program("postgres"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    # pytest's folders are for their owner only; the server's user must pass through them.
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    server = Postgres(folder)
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
