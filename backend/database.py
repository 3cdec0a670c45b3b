"""The SQL database: SQLite by default, PostgreSQL by psycopg 3, MySQL or MariaDB by PyMySQL.

This module, bulk and partitions know which one it is; nothing else does.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command, config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Row, create_engine, event, insert, make_url
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from .errors import DatabaseUnavailable, SettingsError
from .models import Table

log = logging.getLogger(__name__)

AnyRow = Row[*tuple[Any, ...]]
PAGE = 4096
KEPT_CONNECTIONS = 12
# Pages of SQLite's write-ahead log: 16 MB, where there is room for 256.
SMALLEST_WAL, LARGEST_WAL = 8, 4000
MIGRATIONS = Path(__file__).parent / "migrations"
POSTGRESQL = "postgresql"
# The same server by either name: SQLAlchemy has a dialect for each.
MYSQL = ("mysql", "mariadb")
# What PyMySQL calls an OperationalError, and is none that passes: an unknown column, a packet that is too large (half
# of it may not be), mixed collations, values that are none, invalid JSON, what a trigger or a CHECK refuses.
MYSQL_REFUSALS = {1054, 1153, 1267, 1292, 1366, 1644, 1690, 3140, 3819, 4025}
# Strict: what does not fit is refused, never clipped.
MYSQL_MODE = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'"


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
                "It takes sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME after pip install 'psycopg[binary]', or"
                " mysql+pymysql://USER@HOST/NAME after pip install PyMySQL.",
            ) from None
        self.name = parsed.render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one snapshot. Raises DatabaseUnavailable."""
        with self._translated(), self._snapshot() as connection:
            if connection.dialect.name == POSTGRESQL:
                # Before the snapshot is taken, so that no partition goes that it would need: partitions.py.
                connection.exec_driver_sql("LOCK TABLE ONLY readings IN ACCESS SHARE MODE")
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
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
            if error.connection_invalidated or _may_pass(error):
                reason = str(error.orig).strip().splitlines()[0]
                raise DatabaseUnavailable(f"The database {self.name} did not answer: {reason}.") from error
            raise

    def migrate(self) -> None:
        """Bring the tables to this release's revision.

        MySQL commits at every CREATE and ALTER: a migration that was killed there has to be looked at by hand.
        """
        with self.write() as connection:
            if connection.dialect.name in MYSQL:
                _compare_bytes(connection)
            command.upgrade(_alembic(connection), "head")

    def check_revision(self) -> None:
        """Raises SettingsError when the tables are not those of this release."""
        # Perhaps there is no table yet that read() could lock.
        with self._translated(), self._snapshot() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        if found != wanted:
            raise SettingsError(
                f"The tables of {self.name} are at revision {found or 'none'}; this release needs {wanted}.",
                "Run: python -m backend migrate",
            )
        if self.engine.dialect.name in MYSQL:
            self._check_durability()

    def _check_durability(self) -> None:
        """MySQL can be told to lose the last second at a power cut: then an ack would promise too much."""
        with self._translated(), self._snapshot() as connection:
            flushed = connection.exec_driver_sql("SELECT @@innodb_flush_log_at_trx_commit").scalar_one()
        if flushed != 1:
            log.warning(
                "%s may lose what it has committed: set innodb_flush_log_at_trx_commit, which is %s, to 1.",
                self.name,
                flushed,
            )

    def close(self) -> None:
        self.engine.dispose()


def _may_pass(error: DBAPIError) -> bool:
    """Whether the same might be done another time: a server that is away, a lock that somebody holds."""
    if type(error).__name__ not in ("OperationalError", "InterfaceError"):
        return False
    number = next(iter(error.orig.args if error.orig else ()), None)
    return number not in MYSQL_REFUSALS


def add_missing(connection: Connection, table: type[Table], rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key or unique columns are not there yet; another process may be doing the same."""
    if connection.dialect.name in MYSQL:
        # Not INSERT IGNORE, which would also clip what does not fit: a row that is there is set to what it is.
        same = next(iter(table.__table__.primary_key))
        connection.execute(mysql.insert(table).on_duplicate_key_update({same.name: same}), rows)
        return
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def insert_one(connection: Connection, table: type[Table], values: dict[str, Any]) -> int:
    """Insert a row; the id that the database gave it. (MySQL has no RETURNING.)"""
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def upsert(connection: Connection, table: type[Table], rows: list[dict[str, Any]]) -> None:
    """Insert the rows, or replace those that have the same primary key."""
    if connection.dialect.name in MYSQL:
        new = mysql.insert(table)
        columns = [column.name for column in table.__table__.columns if not column.primary_key]
        connection.execute(new.on_duplicate_key_update({name: new.inserted[name] for name in columns}), rows)
        return
    new_row = _insert(connection, table)
    key = [column.name for column in table.__table__.primary_key]
    replaced = {
        column.name: new_row.excluded[column.name] for column in table.__table__.columns if column.name not in key
    }
    connection.execute(new_row.on_conflict_do_update(index_elements=key, set_=replaced), rows)


def _insert(connection: Connection, table: type[Table]) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _alembic(connection: Connection) -> config.Config:
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["connection"] = connection
    return settings


def _engine(url: URL) -> Engine:
    if url.get_backend_name() in MYSQL:
        # Rows are locked by themselves, without the gaps between them: workers that add new ones must not deadlock.
        options = {"connect_timeout": 10, "init_command": MYSQL_MODE, "charset": "utf8mb4"}
        return create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args=options)
    if url.get_backend_name() != "sqlite":
        # A dead server must become an error that is retried, not a wait without end.
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # To open a connection costs as much as ten requests' questions: those of a busy web process are kept.
    engine = create_engine(url, pool_size=KEPT_CONNECTIONS, max_overflow=KEPT_CONNECTIONS)
    event.listen(engine, "connect", lambda connection, _record: _configure_sqlite(connection, url.database or ""))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _compare_bytes(connection: Connection) -> None:
    """Texts of tables to come are UTF-8 and equal only if all their bytes are: "Cel" is not "cel", nor "a" "a "."""
    collation = "utf8mb4_nopad_bin" if getattr(connection.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    connection.exec_driver_sql(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {collation}")


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
