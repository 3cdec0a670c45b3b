"""Rollups: the same sums as counting every stored reading once, whatever order and repetition they came in."""

import random

import pytest
from sqlalchemy import func, select

from backend import rollup
from backend.ingest import Ingest
from backend.models import Reading, Rollup
from tests.backend.test_commit import ARRIVAL, telemetry

pytestmark = pytest.mark.every_database

COLUMNS = (Rollup.first, Rollup.last, Rollup.low, Rollup.high, Rollup.total, Rollup.count, Rollup.faults)


def of_readings(connection, width):
    """What the rollups of this width should be, by SQL over the readings themselves."""
    value = Reading.value
    start = Reading.t - Reading.t % width
    counted = (func.coalesce(func.sum(value), 0), func.count(value), func.count(Reading.fault))
    columns = (Reading.channel_id, start, func.min(Reading.t), func.max(Reading.t), func.min(value), func.max(value))
    rows = connection.execute(select(*columns, *counted).group_by(Reading.channel_id, start))
    return sorted(tuple(row) for row in rows)


def check(database):
    with database.read() as connection:
        for width in rollup.WIDTHS:
            held = connection.execute(select(Rollup.channel_id, Rollup.start, *COLUMNS).where(Rollup.width == width))
            assert sorted(tuple(row) for row in held) == of_readings(connection, width)


@pytest.mark.parametrize("seed", range(4))
def test_late_shuffled_and_doubled_readings_are_counted_once(database, seed):
    """Values are sixteenths: their sums are exact in any order."""
    chance = random.Random(seed)
    ingest = Ingest(database, bus=None, enrolment="open")
    messages, seq = [], {"a": 1, "b": 1}
    for _ in range(50):
        device = chance.choice("ab")
        count = chance.randint(1, 9)
        rows = [
            [i * 90_000, 0, chance.randint(-300, 900) / 16] if chance.random() < 0.9 else [i * 90_000, 0, None, "crc"]
            for i in range(count)
        ]
        # A clock that steps over an hour, a day, and back.
        t = ARRIVAL + chance.choice([0, 3_600_000, 86_400_000, -86_400_000]) + seq[device] * 90_000
        messages.append(telemetry(seq[device], count, device, stream=device * 8, t=t, r=rows))
        seq[device] += count
    queue = messages * 2
    chance.shuffle(queue)
    while queue:
        cut = chance.randint(1, 30)
        ingest.commit(queue[:cut])
        queue = queue[cut:]
        check(database)


def test_a_late_reading_amends_its_bucket(database):
    ingest = Ingest(database, bus=None, enrolment="open")
    ingest.commit([telemetry(1, 1, t=ARRIVAL, r=[[0, 0, 4.5]])])
    ingest.commit([telemetry(2, 1, t=ARRIVAL + 86_400_000, r=[[0, 0, 5.5]])])
    ingest.commit([telemetry(3, 1, t=ARRIVAL + 1, r=[[0, 0, 6.5]])])
    with database.read() as connection:
        first = connection.execute(select(*COLUMNS).where(Rollup.width == rollup.DAY).order_by(Rollup.start)).first()
    assert tuple(first) == (ARRIVAL, ARRIVAL + 1, 4.5, 6.5, 11.0, 2, 0)
    check(database)


def test_only_faults_have_no_lowest_value_until_one_comes(database):
    ingest = Ingest(database, bus=None, enrolment="open")
    ingest.commit([telemetry(1, 1, t=ARRIVAL, r=[[0, 0, None, "crc"]])])
    check(database)
    ingest.commit([telemetry(2, 1, t=ARRIVAL, r=[[0, 0, 3.5]])])
    check(database)
    ingest.commit([telemetry(3, 1, t=ARRIVAL, r=[[0, 0, None, "crc"]])])
    check(database)


def test_no_readings_make_no_buckets():
    assert rollup.rows([], []) == []


def test_buckets_begin_at_multiples_of_their_width():
    found = rollup.rows([299_999, 300_000, 3_600_000], [1.0, 2.0, 3.0])
    starts = {width: [row[1] for row in found if row[0] == width] for width in rollup.WIDTHS}
    assert starts == {300_000: [0, 300_000, 3_600_000], 3_600_000: [0, 3_600_000], 86_400_000: [0]}
