"""Months of readings on PostgreSQL: made ahead, asked alone, dropped whole; and no reading is lost by any of it."""

import re
import threading
import uuid

import pytest
from alembic import command
from sqlalchemy import event, func, insert, select

from backend import buckets, history, hot_window, ledger, partitions, queries
from backend.archive import Archive
from backend.database import Database, _alembic
from backend.hot_end import HotEnd
from backend.ingest import Ingest
from backend.models import Batch, Channel, Reading
from backend.partitions import Month
from tests.backend.archive_parts import archive_all, findings
from tests.backend.test_commit import gap, telemetry

DAY = 86_400_000
OCTOBER, NOVEMBER = Month(2025, 10), Month(2025, 11)
HOT = 400
# Finer than what rollups could answer.
BUCKETS = 100_000


@pytest.fixture
def database(databases, postgres, tmp_path):
    url = databases.migrated("postgresql", tmp_path)
    database = Database(url)
    yield database
    database.close()
    postgres.drop_database(url)


@pytest.fixture
def ingest(database):
    return Ingest(database, bus=None, enrolment="open")


@pytest.fixture
def autumn(database, ingest):
    """A table for October and November 2025, with ten readings each; and two of other times."""
    for each in (OCTOBER, NOVEMBER):
        with database.write() as connection:
            partitions.add(connection, each)
    ingest.commit([month(1, OCTOBER), month(11, NOVEMBER), at(21, Month(2020, 1).start), at(22, Month(2099, 12).start)])


def at(seq, t):
    return telemetry(seq, t=t)


def month(first, month, count=10):
    """Readings with two days in between, from the month's first ms on."""
    return telemetry(first, t=month.start, r=[[i * 2 * DAY, 0, first + i] for i in range(count)])


def tables(database):
    """Table → how many readings lie in it."""
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT tableoid::regclass::text, count(*) FROM readings GROUP BY 1")
        return dict(map(tuple, found))


def batch_of(connection, day):
    return connection.scalar(select(Batch.id).where(Batch.day == day))


def seqs(database):
    with database.read() as connection:
        return sorted(connection.scalars(select(Reading.seq)))


def test_months_are_unix_time_in_utc():
    assert Month.of(NOVEMBER.start - 1) == OCTOBER and Month.of(NOVEMBER.start) == NOVEMBER
    assert (NOVEMBER.start, NOVEMBER.after(2), NOVEMBER.after(-11)) == (
        1_761_955_200_000,
        Month(2026, 1),
        Month(2024, 12),
    )
    assert (Month.of_day("2025-11-30").table, NOVEMBER.first_day) == ("readings_2025_11", "2025-11-01")


def test_tables_are_made_ahead_and_once(database):
    with database.read() as connection:
        first = partitions.months(connection)
    assert len(first) == 1 + partitions.AHEAD
    later = first[-1].after().start
    assert partitions.keep(database, later) == [first[-1].after(n) for n in (1, 2, 3)]
    assert partitions.keep(database, later) == []


def test_readings_lie_in_their_month_and_any_time_is_taken(database, autumn):
    assert tables(database) == {"readings_2025_10": 10, "readings_2025_11": 10, "readings_rest": 2}
    with database.read() as connection:
        (account,) = ledger.read(connection)
    assert (account.stored, account.sampled) == (22, 22)


def test_what_comes_again_is_dropped_whatever_time_it_names(database, ingest, autumn):
    again = [month(1, OCTOBER), at(11, OCTOBER.start), at(1, NOVEMBER.start), at(22, OCTOBER.start)]
    assert ingest.commit(again).stored == 0
    assert seqs(database) == list(range(1, 23))


def test_a_crowded_month_gets_a_table_and_its_readings(database, ingest, monkeypatch):
    monkeypatch.setattr(partitions.missing, "__defaults__", (10,))
    ingest.commit([month(1, OCTOBER), month(11, NOVEMBER, 9), at(20, NOVEMBER.after().start)])
    assert partitions.keep(database, Month(2026, 11).start)[:1] == [OCTOBER]
    assert tables(database) == {"readings_2025_10": 10, "readings_rest": 10}
    assert seqs(database) == list(range(1, 21))


def test_a_table_that_comes_hides_nothing_from_a_reader_that_began_before(database, ingest, monkeypatch):
    """PostgreSQL would plan by the new table, in which the old snapshot sees nothing."""
    monkeypatch.setattr(partitions, "PATIENCE", "200ms")
    ingest.commit([month(1, OCTOBER)])
    crowded = (select(func.count()).where(Reading.t >= OCTOBER.start, Reading.t < NOVEMBER.start),)
    monkeypatch.setattr(partitions.missing, "__defaults__", (10,))
    with database.read() as reader:
        queries.commit_number(reader)
        assert OCTOBER not in partitions.keep(database, NOVEMBER.start)
        # Nobody had to wait for more than that: it is given up, and ingest goes on.
        ingest.commit([month(11, OCTOBER)])
        assert reader.scalar(*crowded) == 10
    assert OCTOBER in partitions.keep(database, NOVEMBER.start)
    assert tables(database)["readings_2025_10"] == 20


def test_ingest_and_readers_go_on_while_tables_come(database, ingest, monkeypatch):
    """Readers in one snapshot always see all of the month; ingest's readings all arrive."""
    monkeypatch.setattr(partitions.missing, "__defaults__", (1,))
    done, wrong = threading.Event(), []

    def read():
        while not done.is_set():
            with database.read() as connection:
                (account,) = ledger.read(connection) or (None,)
                held = connection.scalar(select(func.count()).select_from(Reading))
                if account and account.stored != held:
                    wrong.append((account.stored, held))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        ingest.commit([month(number * 10 + 1, Month(2025, 1).after(number))])
        partitions.keep(database, NOVEMBER.start)
    done.set()
    reader.join()
    assert wrong == []
    assert seqs(database) == list(range(1, 121))


class Plans:
    """The plans of every statement on readings that is run within."""

    def __init__(self, database, connection):
        self.database, self.connection, self.found = database, connection, []

    def __enter__(self):
        event.listen(self.database.engine, "before_cursor_execute", self._explain)
        return self

    def __exit__(self, *_):
        event.remove(self.database.engine, "before_cursor_execute", self._explain)

    def _explain(self, _connection, cursor, statement, parameters, *_):
        if "readings" in statement and not statement.startswith(("LOCK", "EXPLAIN")):
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", parameters)
            self.found.append("\n".join(line for (line,) in cursor.fetchall()))

    def tables(self):
        """Those that were really looked at."""
        plan = "\n".join(line for line in "\n".join(self.found).splitlines() if "never executed" not in line)
        return set(re.findall(r"readings_(?:\d{4}_\d{2}|rest)(?= )", plan))


@pytest.mark.parametrize(
    "ask",
    [
        lambda connection, channel: list(history.readings(connection, channel, OCTOBER.start, OCTOBER.start + 9 * DAY)),
        lambda connection, channel: buckets.series(
            connection, channel, OCTOBER.start, OCTOBER.start + 9 * DAY, 100_000
        ),
        lambda connection, _channel: hot_window.of_batch(connection, batch_of(connection, "2025-10-05"), "2025-10-05"),
    ],
    ids=["readings", "series", "of_batch"],
)
def test_a_question_about_a_time_asks_only_its_month(database, store, autumn, ask):
    archive_all(database, store)
    with database.read() as connection:
        channel = connection.scalar(select(Channel.id))
        with Plans(database, connection) as plans:
            assert ask(connection, channel)
    assert plans.found and plans.tables() == {"readings_2025_10"}, "\n".join(plans.found)


def test_a_batch_is_deleted_from_its_month_alone(database, store, autumn):
    archive_all(database, store)
    with database.write() as connection, Plans(database, connection) as plans:
        hot_window.delete_batch(connection, batch_of(connection, "2025-10-05"), "2025-10-05")
    assert "Delete on readings_2025_10" in plans.found[0]
    assert "readings_2025_11" not in plans.found[0] and "readings_rest" not in plans.found[0]


class TestTheEndOfTheHotWindow:
    def end(self, database, store, at):
        return HotEnd(database, store, HOT).drop(at + HOT * DAY)

    def months(self, database):
        with database.read() as connection:
            return partitions.months(connection)

    def test_a_month_goes_as_one_when_all_of_it_is_old(self, database, store, autumn):
        archive_all(database, store)
        found, whole = findings(database, store)
        assert found == []
        # 2020-01 lies in readings_rest and goes by itself; October waits for its last day.
        assert self.end(database, store, NOVEMBER.start - 1) == 1
        assert OCTOBER in self.months(database) and len(seqs(database)) == 21
        assert self.end(database, store, NOVEMBER.start + DAY) == 10
        assert OCTOBER not in self.months(database)
        assert tables(database) == {"readings_2025_11": 10, "readings_rest": 1}
        found, done = findings(database, store)
        assert (found, done.digest, done.dropped) == ([], whole.digest, 11)

    def test_what_left_is_still_found_and_still_known(self, database, store, ingest, autumn):
        archive_all(database, store)
        self.end(database, store, NOVEMBER.start)
        with database.read() as connection:
            channel = connection.scalar(select(Channel.id))
            rows = list(history.readings(connection, channel, OCTOBER.start, NOVEMBER.after().start, store))
        assert [row.seq for row in rows] == list(range(1, 21))
        assert ingest.commit([month(1, OCTOBER)]).stored == 0

    def test_a_reading_that_is_in_no_batch_keeps_its_month(self, database, store, ingest, autumn):
        archive_all(database, store)
        # Beyond a hole: not to be frozen yet.
        ingest.commit([at(24, OCTOBER.start + 7 * DAY)])
        # A batch at a time then, and that reading stays.
        assert self.end(database, store, NOVEMBER.start) == 11
        assert tables(database) == {"readings_2025_10": 1, "readings_2025_11": 10, "readings_rest": 1}
        ingest.commit([gap(23, 23)])
        archive_all(database, store)
        assert self.end(database, store, NOVEMBER.start) == 1
        assert OCTOBER not in self.months(database)
        assert findings(database, store)[0] == []

    @pytest.mark.parametrize("harm", ["missing", "altered"])
    def test_a_month_stays_of_which_an_object_is_not_what_it_was(self, database, store, autumn, harm):
        archive_all(database, store)
        key = next(entry.key for entry in store.list("day=2025-10-05"))
        if harm == "missing":
            store.delete(key)
        else:
            store.put(key, store.get(key)[:-1] + b"!")
        assert self.end(database, store, NOVEMBER.start) == 10
        assert tables(database)["readings_2025_10"] == 1

    def test_a_month_goes_later_when_somebody_reads(self, database, store, autumn, monkeypatch):
        monkeypatch.setattr(partitions, "PATIENCE", "200ms")
        archive_all(database, store)
        end = HotEnd(database, store, HOT)
        with database.read() as reader:
            queries.commit_number(reader)
            assert end.drop(NOVEMBER.start + HOT * DAY) == 0
            asked = select(func.count()).where(Reading.t >= OCTOBER.start, Reading.t < NOVEMBER.start)
            assert reader.scalar(asked) == 10
        # The other one lies in readings_rest.
        assert end.drop(NOVEMBER.start + HOT * DAY) == 11


def test_existing_readings_are_moved_and_back(postgres):
    """Through 0008 and back: the same rows, the same key."""
    database = Database(postgres.new_database(f"test_{uuid.uuid4().hex}"))
    row = {"stream_id": 1, "channel_id": 1, "tq": "ntp", "value": 1 / 3, "received": 5}
    times = [OCTOBER.start, NOVEMBER.start, Month(2020, 1).start, Month(2099, 12).start, 0]

    def move(to):
        with database.write() as connection:
            go = command.downgrade if to == "0007" else command.upgrade
            go(_alembic(connection), to)

    def held():
        with database.read() as connection:
            return connection.execute(select(Reading).order_by(Reading.seq)).all()

    def key():
        with database.read() as connection:
            return connection.exec_driver_sql("SELECT pg_get_indexdef('readings_pkey'::regclass)").scalar_one()

    with database.write() as connection:
        command.upgrade(_alembic(connection), "0007")
        connection.execute(insert(Reading), [{**row, "seq": seq, "t": t} for seq, t in enumerate(times, 1)])
    first, before = held(), key()
    move("0008")
    assert held() == first
    assert tables(database) == {"readings_rest": 5}
    with database.write() as connection:
        partitions.add(connection, OCTOBER)
    assert tables(database) == {"readings_2025_10": 1, "readings_rest": 4}
    move("0007")
    assert (held(), key()) == (first, before)
    move("0008")
    assert held() == first
    database.close()


def test_the_archiver_makes_the_tables(database, store):
    with database.write() as connection:
        for found in partitions.months(connection):
            assert partitions.drop(connection, found, 0)
    archive = Archive(database, store, rows=10, age=1)
    archive._pass()
    with database.read() as connection:
        assert len(partitions.months(connection)) == 1 + partitions.AHEAD
