"""Many rows at once, at the speed of the database: multi-row VALUES on SQLite and MySQL, COPY and arrays on PostgreSQL.

The names of tables and columns come from the models, values are always parameters.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from .database import MYSQL, AnyRow
from .models import Reading, Rollup, Stream
from .models import Table as Model

Rows = Sequence[Sequence[Any]]
# Rows of one statement: more bring nothing, and SQLite has a limit of parameters.
CHUNK = 200
MOVE_STREAMS_MYSQL = """
    UPDATE streams JOIN JSON_TABLE(%s, '$[*]' COLUMNS (
        id BIGINT PATH '$[0]', sampled BIGINT PATH '$[1]', position BIGINT PATH '$[2]')) AS moved
    ON streams.id = moved.id SET streams.sampled = moved.sampled, streams.position = moved.position"""


class Bulk:
    """Bulk statements in one transaction of any of the databases."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"
        self._mysql = connection.dialect.name in MYSQL

    def select(self, sql: str, keys: Iterable[int | str]) -> Sequence[AnyRow]:
        """Rows of a query that says `IN :keys` once. `FOR UPDATE` in it is not for SQLite: that locks all."""
        if self._sqlite:
            sql = sql.replace("IN :keys", "IN (SELECT value FROM json_each(?))").replace("FOR UPDATE", "")
            return self._connection.exec_driver_sql(sql, (json.dumps(list(keys)),)).all()
        if self._mysql:
            # PyMySQL writes the keys into the statement, and nothing is found IN (NULL).
            wanted = tuple(keys) or (None,)
            sql = sql.replace("IN :keys", f"IN ({', '.join(['%s'] * len(wanted))})")
            return self._connection.exec_driver_sql(sql, wanted).all()
        return self._connection.exec_driver_sql(sql.replace("IN :keys", "= ANY(%s)"), (list(keys),)).all()

    def insert(self, model: type[Model], columns: Sequence[str], rows: Rows) -> None:
        """Insert rows, given in the order of `columns`."""
        self._insert(model, columns, rows, "")

    def insert_missing(self, model: type[Model], columns: Sequence[str], rows: Rows) -> None:
        """Insert the rows whose key or unique columns are not there yet."""
        self._insert(model, columns, rows, _keep(columns) if self._mysql else "ON CONFLICT DO NOTHING")

    def upsert(self, model: type[Model], columns: Sequence[str], rows: Rows) -> None:
        """Insert rows, or replace those that have the same primary key."""
        key = [column.name for column in model.__table__.primary_key]
        others = [name for name in columns if name not in key]
        if self._mysql:
            conflict = "ON DUPLICATE KEY UPDATE " + ", ".join(f"`{name}` = VALUES(`{name}`)" for name in others)
        else:
            replaced = ", ".join(f"{name} = excluded.{name}" for name in others)
            conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {replaced}"
        self._insert(model, columns, rows, conflict)

    def insert_readings(self, rows: Rows) -> None:
        """Rows in the order of models.Reading's columns. One that is there already stays as it is."""
        columns = names(Reading)
        if self._sqlite or self._mysql:
            self.insert_missing(Reading, columns, rows)
            return
        lines = _copy_text(rows)
        try:
            with self._connection.begin_nested():
                self._copy("readings", columns, lines)
        except DBAPIError as error:
            if not _is_unique_violation(error):
                raise
            self._copy_by_staging(columns, lines)

    def add_rollups(self, rows: Rows) -> None:
        """Add buckets (rows in the order of models.Rollup's columns) to those that are there."""
        if self._mysql:
            new, head = "VALUES({})", "ON DUPLICATE KEY UPDATE"
        else:
            new, head = "excluded.{}", "ON CONFLICT (channel_id, width, start) DO UPDATE SET"
        least, most = ("min", "max") if self._sqlite else ("least", "greatest")
        sets = []
        for name, choose in (("first", least), ("last", most), ("low", least), ("high", most)):
            there, come = f"rollups.{name}", new.format(name)
            # Two of which one is null: for SQLite and MySQL the least of them is null, for PostgreSQL the other one.
            sets.append(f"{name} = coalesce({choose}({there}, {come}), {there}, {come})")
        sets += [f"{name} = rollups.{name} + {new.format(name)}" for name in ("total", "count", "faults")]
        self._insert(Rollup, names(Rollup), rows, f"{head} {', '.join(sets)}")

    def move_streams(self, rows: Rows) -> None:
        """(id, sampled, position) of streams that are there."""
        if self._sqlite:
            cursor = self._connection.connection.cursor()
            moved = [(sampled, position, id) for id, sampled, position in rows]
            cursor.executemany("UPDATE streams SET sampled = ?, position = ? WHERE id = ?", moved)
        elif self._mysql:
            self._connection.exec_driver_sql(MOVE_STREAMS_MYSQL, (json.dumps([list(row) for row in rows]),))
        elif rows:
            self._connection.exec_driver_sql(
                "UPDATE streams SET sampled = new.sampled, position = new.position"  # noqa: S608 - as above
                f" FROM unnest({_arrays(Stream, ('id', 'sampled', 'position'))}) AS new (id, sampled, position)"
                " WHERE streams.id = new.id",
                tuple(map(list, zip(*rows, strict=True))),
            )

    def _insert(self, model: type[Model], columns: Sequence[str], rows: Rows, conflict: str) -> None:
        """conflict: what to do with a row whose key is there."""
        if self._sqlite or self._mysql:
            self._insert_values(model.__tablename__, columns, rows, conflict)
        elif rows:
            self._insert_arrays(model, columns, rows, conflict)

    def _insert_values(self, table: str, columns: Sequence[str], rows: Rows, conflict: str) -> None:
        parameter, quote = ("%s", "`") if self._mysql else ("?", '"')
        for chunk in _chunks(rows):
            sql = _values_sql(table, tuple(columns), len(chunk), conflict, parameter, quote)
            self._connection.exec_driver_sql(sql, tuple(itertools.chain.from_iterable(chunk)))

    def _insert_arrays(self, model: type[Model], columns: Sequence[str], rows: Rows, conflict: str) -> None:
        self._connection.exec_driver_sql(
            f"INSERT INTO {model.__tablename__} ({', '.join(columns)})"  # noqa: S608 - names of our own models
            f" SELECT * FROM unnest({_arrays(model, tuple(columns))}) {conflict}",
            tuple(map(list, zip(*rows, strict=True))),
        )

    def _copy(self, table: str, columns: Sequence[str], lines: str) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        driver: Any = self._connection.connection.driver_connection
        errors = self._connection.dialect.dbapi.Error  # type: ignore[union-attr]
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(lines)
        except errors as error:
            # SQLAlchemy does not see what goes past it: its callers should not have to know two kinds of errors.
            raise DBAPIError.instance(
                statement, None, error, errors, connection_invalidated=driver.broken, dialect=self._connection.dialect
            ) from error

    def _copy_by_staging(self, columns: Sequence[str], lines: str) -> None:
        """Readings of which some are in the table, though no span says so."""
        self._connection.exec_driver_sql("CREATE TEMP TABLE staged (LIKE readings) ON COMMIT DROP")
        self._copy("staged", columns, lines)
        self._connection.exec_driver_sql("INSERT INTO readings SELECT * FROM staged ON CONFLICT DO NOTHING")


def _chunks(rows: Rows) -> Iterator[Rows]:
    for at in range(0, len(rows), CHUNK):
        yield rows[at : at + CHUNK]


@functools.cache
def _values_sql(table: str, columns: tuple[str, ...], rows: int, conflict: str, parameter: str, quote: str) -> str:
    # Quoted, for `rows` and `key` are words of MySQL.
    listed = ", ".join(f"{quote}{name}{quote}" for name in columns)
    row = f"({', '.join([parameter] * len(columns))})"
    return f"INSERT INTO {table} ({listed}) VALUES {', '.join([row] * rows)} {conflict}"  # noqa: S608


def _keep(columns: Sequence[str]) -> str:
    """MySQL: leave a row alone whose key is there.

    Not INSERT IGNORE: that would also clip what does not fit, and store another reading than the one that came.
    """
    return f"ON DUPLICATE KEY UPDATE `{columns[0]}` = `{columns[0]}`"


@functools.cache
def _arrays(model: type[Model], columns: tuple[str, ...]) -> str:
    """Parameters for unnest(): one array a column, of the column's type."""
    types = [model.__table__.columns[name].type.compile(postgresql.dialect()) for name in columns]
    return ", ".join(f"%s::{kind}[]" for kind in types)


@functools.cache
def names(model: type[Model]) -> tuple[str, ...]:
    """The table's columns, in the order of the model."""
    return tuple(column.name for column in model.__table__.columns)


def _copy_text(rows: Rows) -> str:
    """Readings in COPY's text format. Their texts are checked words: there is nothing to escape."""
    return "".join(
        [
            f"{stream}\t{seq}\t{channel}\t{t}\t{tq}\t{value!r}\t\\N\t{received}\n"
            if fault is None
            else f"{stream}\t{seq}\t{channel}\t{t}\t{tq}\t\\N\t{fault}\t{received}\n"
            for stream, seq, channel, t, tq, value, fault, received in rows
        ]
    )


def _is_unique_violation(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "23505"
