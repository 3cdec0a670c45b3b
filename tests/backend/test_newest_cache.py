"""The newest readings in Redis: whatever happens to it, what is read is what SQL has."""

import random
import uuid

import pytest
from sqlalchemy import event, select, update

from backend import calibration, queries
from backend.models import Newest, Progress
from backend.newest_cache import NewestCache
from backend.shared_memory import SharedMemory
from tests.servers import Redis

T = 1_763_812_345_000


@pytest.fixture
def memory(redis):
    memory = SharedMemory(redis.url)
    yield memory
    memory.close()


@pytest.fixture
def cache(memory, database):
    # Redis is that of all tests, and their databases are copies of one.
    with database.write() as connection:
        connection.execute(update(Progress).values(history=uuid.uuid4().hex))
    return NewestCache(memory)


def name(database):
    with database.read() as connection:
        return f"newest:{connection.scalar(select(Progress.history))}"


def held_up_to(memory, database):
    found = memory.load(name(database)).get(b"commit")
    return None if found is None else int(found)


def asked(database, cache):
    """(what the cache says, statements on `newest` that it took)"""
    statements = []

    def note(_connection, _cursor, statement, *_):
        if "FROM newest" in statement:
            statements.append(statement)

    with database.read() as connection:
        event.listen(database.engine, "before_cursor_execute", note)
        try:
            found = cache.read(connection)
        finally:
            event.remove(database.engine, "before_cursor_execute", note)
        assert found == queries.newest(connection)
    return found, len(statements)


def test_every_history_of_commits_has_a_name_of_its_own(database):
    assert len(name(database)) == len("newest:") + 32


def test_the_first_asks_sql_and_the_next_does_not(database, rows, channel, cache):
    rows.readings(channel, [(T, 4.5), (T + 1000, 1 / 3)])
    found, statements = asked(database, cache)
    assert ([row.value for row in found], [row.interval for row in found], statements) == ([1 / 3], [1000], 1)
    assert asked(database, cache) == (found, 0)


def test_only_what_came_since_is_asked_for(database, rows, channel, cache, memory):
    rows.readings(channel, [(T, 4.5)])
    asked(database, cache)
    rows.readings(channel, [(T + 1000, 5.5)])
    (row,), statements = asked(database, cache)
    assert (row.value, statements) == (5.5, 1)
    assert asked(database, cache)[1] == 0
    assert held_up_to(memory, database) == row.commit


def test_calibrations_count_at_once(database, rows, channel, cache):
    rows.readings(channel, [(T, 4.5)])
    asked(database, cache)
    with database.write() as connection:
        calibration.calibrate(connection, "fridge-1", "28ff641e8216c3a1", "Cel", 1.0, -0.5)
    (row,), _ = asked(database, cache)
    assert (row.value, row.calibration) == (4.0, 1)


def test_one_may_ask_for_some_devices(database, rows, channel, cache):
    rows.readings(channel, [(T, 4.5)])
    rows.device("other", stream="00000002")
    rows.readings(rows.channel("other"), [(T, 7.5)])
    asked(database, cache)
    with database.read() as connection:
        assert [row.device for row in cache.read(connection, {"other"})] == ["other"]
        assert cache.read(connection, set()) == []


@pytest.mark.parametrize("harm", ["emptied", "garbage", "half gone", "from the future"])
def test_what_is_wrong_in_redis_is_made_anew(database, rows, channel, cache, memory, harm):
    rows.readings(channel, [(T, 4.5)])
    asked(database, cache)
    script = {
        "emptied": "return redis.call('DEL', KEYS[1])",
        "garbage": f"return redis.call('HSET', KEYS[1], '{channel}', 'x')",
        "half gone": "return redis.call('HDEL', KEYS[1], 'commit')",
        "from the future": "return redis.call('HSET', KEYS[1], 'commit', 1000000)",
    }[harm]
    memory.run(script, [name(database)], [])
    rows.readings(channel, [(T + 1000, 5.5)])
    assert asked(database, cache)[0][0].value == 5.5
    asked(database, cache)
    assert asked(database, cache)[1] == 0


def test_a_database_from_a_backup_shows_nothing_of_what_it_lost(database, rows, channel, cache):
    rows.readings(channel, [(T, 4.5)])
    with database.read() as connection:
        before = connection.execute(select(Newest)).mappings().one()
        number = queries.commit_number(connection)
    rows.readings(channel, [(T + 1000, 99.0)])
    asked(database, cache)
    with database.write() as connection:
        connection.execute(update(Newest).values({**before}))
        connection.execute(update(Progress).values(commit=number))
    assert asked(database, cache)[0][0].value == 4.5


def test_a_dead_redis_costs_a_query_and_nothing_else(database, rows, channel, tmp_path):
    server = Redis(tmp_path / "redis")
    server.start()
    memory = SharedMemory(server.url)
    cache = NewestCache(memory)
    rows.readings(channel, [(T, 4.5)])
    asked(database, cache)
    assert asked(database, cache)[1] == 0
    server.kill()
    rows.readings(channel, [(T + 1000, 5.5)])
    assert asked(database, cache)[0][0].value == 5.5
    memory.close()


def test_no_order_of_readers_and_losses_ever_shows_what_is_old(database, rows, cache, memory):
    """Readers with snapshots of different ages, of several processes; Redis loses its keys in between.

    By commit numbers: no row is older than the one that SQL has in the reader's own snapshot.
    """
    chance = random.Random(uuid.uuid4().int)
    channels = []
    for number in range(4):
        rows.device(f"d-{number}", stream=f"{number:08x}")
        channels.append(rows.channel(f"d-{number}"))
    caches = [cache, NewestCache(memory)]
    times = dict.fromkeys(channels, T)
    for _ in range(25):
        with database.read() as early:
            queries.commit_number(early)
            for channel in chance.sample(channels, chance.randrange(3)):
                times[channel] += 1000
                rows.readings(channel, [(times[channel], chance.random())])
            if chance.random() < 0.2:
                memory.run("return redis.call('DEL', KEYS[1])", [name(database)], [])
            readers = [early]
            with database.read() as late:
                readers.insert(chance.randrange(2), late)
                for reader in readers:
                    found = chance.choice(caches).read(reader)
                    truth = queries.newest(reader)
                    assert {row.channel: row.commit for row in found} == {row.channel: row.commit for row in truth}
                    assert found == truth
