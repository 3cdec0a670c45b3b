"""The SQL database: SQLite by default, PostgreSQL by psycopg 3. The only module that knows which one it is."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command, config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Row, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from .errors import DatabaseUnavailable, SettingsError
from .models import Table

AnyRow = Row[*tuple[Any, ...]]
PAGE = 4096
# Pages of SQLite's write-ahead log: 16 MB, where there is room for 256.
SMALLEST_WAL, LARGEST_WAL = 8, 4000
MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    def __init__(self, url: str, password: str = "") -> None:
        """url: an SQLAlchemy URL without its password. Nothing is opened yet.

        Raises SettingsError when the URL names no database that can be used.
        """
        try:
            parsed = make_url(url)
            self.engine = _engine(parsed.set(password=password or None))
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise SettingsError(
                f"THERMOGRAPH_DATABASE is no usable database URL: {error}.",
                "It takes sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME after pip install 'psycopg[binary]'.",
            ) from None
        self.name = parsed.render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one snapshot. Raises DatabaseUnavailable."""
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection whose transaction commits at the end, and rolls back on any exception.

        SQLite takes its write lock at once (a later upgrade could fail half-way). Raises DatabaseUnavailable.
        """
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(sqlite_begin="IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            # Only what a retry can mend: a wrong statement must surface as the bug it is.
            if error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError"):
                reason = str(error.orig).strip().splitlines()[0]
                raise DatabaseUnavailable(f"The database {self.name} did not answer: {reason}.") from error
            raise

    def migrate(self) -> None:
        """Bring the tables to this release's revision."""
        with self.write() as connection:
            command.upgrade(_alembic(connection), "head")

    def check_revision(self) -> None:
        """Raises SettingsError when the tables are not those of this release."""
        with self.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        if found != wanted:
            raise SettingsError(
                f"The tables of {self.name} are at revision {found or 'none'}; this release needs {wanted}.",
                "Run: python -m backend migrate",
            )

    def close(self) -> None:
        self.engine.dispose()


def add_missing(connection: Connection, table: type[Table], rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key or unique columns are not there yet; another process may be doing the same."""
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def upsert(connection: Connection, table: type[Table], rows: list[dict[str, Any]]) -> None:
    """Insert the rows, or replace those that have the same primary key."""
    insert = _insert(connection, table)
    key = [column.name for column in table.__table__.primary_key]
    replaced = {
        column.name: insert.excluded[column.name] for column in table.__table__.columns if column.name not in key
    }
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=replaced), rows)


def _insert(connection: Connection, table: type[Table]) -> sqlite.Insert | postgresql.Insert:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return insert(table)


def _alembic(connection: Connection) -> config.Config:
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["connection"] = connection
    return settings


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        # A dead server must become an error that is retried, not a wait without end.
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    event.listen(engine, "connect", lambda connection, _record: _configure_sqlite(connection, url.database or ""))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, file: str) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: _begin_sqlite does
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # the application ack promises that the reading survives a power cut
        "foreign_keys=ON",
        "busy_timeout=10000",
        "cache_size=-65536",
        f"wal_autocheckpoint={_checkpoint_pages(file)}",
        f"journal_size_limit={4 * LARGEST_WAL * PAGE}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _checkpoint_pages(file: str) -> int:
    """After how many pages the write-ahead log is written back into the database, so that it can begin anew.

    The more, the less often the same page is written twice; but on a small disk the log alone must not fill it.
    """
    if not file or file == ":memory:":
        return LARGEST_WAL
    return max(SMALLEST_WAL, min(LARGEST_WAL, shutil.disk_usage(Path(file).parent).free // (16 * PAGE)))


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("sqlite_begin", "DEFERRED"))
