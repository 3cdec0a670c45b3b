"""What the page reads, on both databases."""

import timeit

import pytest

from backend import queries
from backend.errors import NotFound

T = 1_763_812_345_000


def read(database, query, *arguments):
    with database.read() as connection:
        return query(connection, *arguments)


def test_nothing_yet(database):
    assert read(database, queries.devices) == []
    assert read(database, queries.newest) == []
    assert read(database, queries.changes, 0) == queries.Changes(0, ())


def test_a_device_with_its_health(database, rows):
    rows.device("fridge-1", enrolled=False, health='{"rssi": -61}')
    rows.device("attic", stream="00000001", status=None, health="[1")
    attic, fridge = read(database, queries.devices)
    assert (attic.name, attic.status, attic.health) == ("attic", None, None)
    assert (fridge.name, fridge.status, fridge.enrolled, fridge.health) == ("fridge-1", "online", False, {"rssi": -61})


def test_newest_with_the_interval_of_its_latest_steps(database, rows, channel):
    rows.readings(channel, [(T + step * 1000, 20.5) for step in (0, 10, 20, 500, 510, 520, 530)])
    (newest,) = read(database, queries.newest)
    assert (newest.device, newest.channel, newest.sensor, newest.unit) == (
        "fridge-1",
        channel,
        "28ff641e8216c3a1",
        "Cel",
    )
    assert (newest.stream, newest.seq, newest.t, newest.value, newest.fault) == ("9f3a1c02", 7, T + 530_000, 20.5, None)
    assert newest.interval == 10_000


def test_a_single_reading_has_no_interval(database, rows, channel):
    rows.readings(channel, [(T, "crc")])
    (newest,) = read(database, queries.newest)
    assert (newest.value, newest.fault, newest.interval) == (None, "crc", None)


def test_changes_after_a_commit(database, rows, channel):
    other = rows.channel(sensor="dht22", unit="%RH")
    first = rows.readings(channel, [(T, 1.0)])
    second = rows.readings(other, [(T, 50.0)])
    assert [row.channel for row in read(database, queries.changes, first - 1).newest] == [channel, other]
    assert [row.channel for row in read(database, queries.changes, first).newest] == [other]
    assert read(database, queries.changes, second) == queries.Changes(second, ())


def test_buckets_keep_a_spike_and_count_faults(database, rows, channel):
    found = [(T + i * 1000, 4.0) for i in range(100)]
    found[42] = (T + 42_000, 30.0)
    found[43] = (T + 43_000, "crc")
    rows.readings(channel, found)
    buckets = read(database, queries.series, channel, T, T + 100_000, 10)
    assert len(buckets) == 10
    assert buckets[0] == queries.Bucket(T, T + 9000, 4.0, 4.0, 4.0, 10, 0)
    spike = buckets[4]
    assert (spike.min, spike.max, spike.values, spike.faults) == (4.0, 30.0, 9, 1)
    assert spike.mean == pytest.approx((8 * 4 + 30) / 9)


def test_a_bucket_of_faults_has_no_value(database, rows, channel):
    rows.readings(channel, [(T, "absent"), (T + 1, "absent")])
    assert read(database, queries.series, channel, T, T + 10, 1) == [queries.Bucket(T, T + 1, None, None, None, 0, 2)]


@pytest.mark.parametrize("buckets", [1, 2, 3, 7, 99, 100, 101, 5000])
def test_never_more_buckets_than_asked_and_no_reading_left_out(database, rows, channel, buckets):
    rows.readings(channel, [(T + i, float(i)) for i in range(100)])
    found = read(database, queries.series, channel, T, T + 100, buckets)
    assert len(found) <= buckets
    assert sum(bucket.values for bucket in found) == 100


def test_the_range_holds_its_start_and_not_its_end(database, rows, channel):
    rows.readings(channel, [(T - 1, 1.0), (T, 2.0), (T + 9, 3.0), (T + 10, 4.0)])
    found = read(database, queries.series, channel, T, T + 10, 10)
    assert [bucket.mean for bucket in found] == [2.0, 3.0]


def test_a_channel_that_is_not_there(database):
    with pytest.raises(NotFound, match="no channel 7"):
        read(database, queries.channel, 7)


def test_newest_of_many_does_not_grow_with_the_readings(database, rows, channel):
    """The whole table is 100,000 readings; the newest values must come from a few index probes."""

    def quickest():
        return min(timeit.repeat(lambda: read(database, queries.newest), number=1, repeat=7))

    rows.readings(channel, [(T + i * 1000, 1.0) for i in range(100)])
    few = quickest()
    rows.readings(channel, [(T + i * 1000, 1.0) for i in range(100, 100_000)])
    assert read(database, queries.newest)[0].seq == 100_000
    assert quickest() < 10 * few
