"""Months of readings, on PostgreSQL: `readings` is partitioned by the readings' own time, a table a UTC month.

A month has a table readings_YYYY_MM if it is near, or holds much; what belongs to no such table lies in readings_rest,
the default partition, so that no time is ever refused. README.md says why it is cut this way.

A partition that comes or goes hides rows from a transaction whose snapshot is older: PostgreSQL plans by the tables as
they are now. So every reader holds a lock on `readings` before it takes its snapshot (Database.read), and what
changes the partitions waits for all of them, and only briefly: while it waits, those that come later wait behind it.
"""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from .database import POSTGRESQL, Database
from .errors import DatabaseUnavailable

log = logging.getLogger(__name__)

# Months after the current one that have a table.
AHEAD = 2
# A month of which so many readings lie in readings_rest gets a table of its own: below, it is one more to be asked.
WORTH = 100_000
# How long ingest and pages may have to wait for a change that itself waits for a long export. It is tried again.
PATIENCE = "2s"
REST = "readings_rest"
NAME = re.compile(r"readings_(\d{4})_(\d{2})")


@dataclass(frozen=True, order=True)
class Month:
    """One UTC month."""

    year: int
    month: int

    @classmethod
    def of(cls, t: int) -> "Month":
        """The month of a Unix time in ms."""
        at = datetime.fromtimestamp(t / 1000, UTC)
        return cls(at.year, at.month)

    @classmethod
    def of_day(cls, day: str) -> "Month":
        """The month of a day, YYYY-MM-DD."""
        return cls(int(day[:4]), int(day[5:7]))

    def after(self, months: int = 1) -> "Month":
        number = self.year * 12 + self.month - 1 + months
        return Month(number // 12, number % 12 + 1)

    @property
    def start(self) -> int:
        """Its first ms, Unix UTC."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp()) * 1000

    @property
    def table(self) -> str:
        return f"readings_{self.year:04}_{self.month:02}"

    @property
    def first_day(self) -> str:
        return f"{self.year:04}-{self.month:02}-01"


def are_here(connection: Connection) -> bool:
    return connection.dialect.name == POSTGRESQL


def keep(database: Database, now: int) -> list[Month]:
    """Make the tables that are missing, each in a transaction of its own; the months that got one.

    now: Unix ms UTC. One that has to wait too long is left for the next time. Raises DatabaseUnavailable.
    """
    with database.read() as connection:
        wanted = missing(connection, now)
    made = []
    for month in wanted:
        try:
            with database.write() as connection:
                add(connection, month)
        except DatabaseUnavailable as error:
            log.info("%s %s is made later.", error.message, month.table)
            continue
        log.info("%s: a table for that month", month.table)
        made.append(month)
    return made


def months(connection: Connection) -> list[Month]:
    """The months that have a table of their own, in order; none on another database than PostgreSQL."""
    if not are_here(connection):
        return []
    found = connection.exec_driver_sql(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'readings'::regclass"
    ).scalars()
    return sorted(Month(int(match[1]), int(match[2])) for match in map(NAME.fullmatch, found) if match)


def missing(connection: Connection, now: int, worth: int = WORTH) -> list[Month]:
    """The months that should have a table and have none, in order. now: Unix ms UTC."""
    if not are_here(connection):
        return []
    this = Month.of(now)
    wanted = {this.after(months) for months in range(AHEAD + 1)}
    crowded = connection.exec_driver_sql(
        "SELECT min(t) FROM readings_rest"
        " GROUP BY date_trunc('month', to_timestamp(t / 1000.0) AT TIME ZONE 'UTC') HAVING count(*) >= %s",
        (worth,),
    ).scalars()
    return sorted((wanted | {Month.of(t) for t in crowded}) - set(months(connection)))


def add(connection: Connection, month: Month) -> None:
    """Give the month its table, and bring there what readings_rest has of it.

    Raises OperationalError (which Database.write makes DatabaseUnavailable) when the lock is not to be had soon.
    """
    _lock(connection)
    table, since, until = month.table, month.start, month.after().start
    # Its key is its own: one of all partitions would have to contain t.
    connection.exec_driver_sql(f"CREATE TABLE {table} (LIKE readings INCLUDING DEFAULTS, PRIMARY KEY (stream_id, seq))")
    connection.exec_driver_sql(
        f"WITH moved AS (DELETE FROM {REST} WHERE t >= {since} AND t < {until} RETURNING *)"  # noqa: S608 - numbers
        f" INSERT INTO {table} SELECT * FROM moved"
    )
    connection.exec_driver_sql(f"ALTER TABLE readings ATTACH PARTITION {table} FOR VALUES FROM ({since}) TO ({until})")


def drop(connection: Connection, month: Month, rows: int) -> bool:
    """Remove the month's table if it has exactly so many rows, with all of them; whether it did.

    Raises OperationalError as add() does.
    """
    # Nothing comes in from here on; it is only of this old month that ingest would have to wait.
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    connection.exec_driver_sql(f"LOCK TABLE {month.table} IN SHARE MODE")
    held = connection.exec_driver_sql(f"SELECT count(*) FROM {month.table}").scalar_one()  # noqa: S608 - of a number
    if held != rows:
        return False
    _lock(connection)
    connection.exec_driver_sql(f"DROP TABLE {month.table}")
    return True


def _lock(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    connection.exec_driver_sql("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
