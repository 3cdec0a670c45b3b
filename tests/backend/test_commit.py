"""Messages into SQL, on SQLite and PostgreSQL: exactly once, whatever is sent, in whatever order and grouping."""

import json
import random

import pytest
from sqlalchemy import func, insert, select

from backend import ledger
from backend.bus import Message
from backend.commit import Ack
from backend.ingest import Ingest
from backend.models import Device, Newest, Progress, Reading, Rejected, Span

pytestmark = pytest.mark.every_database

ARRIVAL = 1_763_812_345_000
STREAM = "9f3a1c02"


def telemetry(first, count=1, device="fridge-1", stream=STREAM, **changes):
    base = {
        "v": 1,
        "stream": stream,
        "seq": first,
        "t": ARRIVAL + first * 1000,
        "tq": "ntp",
        "ch": [["28ff641e8216c3a1", "Cel"]],
        "r": [[i * 1000, 0, (first + i) / 16] for i in range(count)],
    }
    return message(f"thermograph/v1/{device}/telemetry", base | changes)


def message(topic, content):
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Message(topic.encode(), payload, ARRIVAL)


def gap(first, last, cause="flash-full", device="fridge-1"):
    told = {"v": 1, "stream": STREAM, "gap": [first, last], "cause": cause}
    return message(f"thermograph/v1/{device}/telemetry", told)


@pytest.fixture
def ingest(database):
    return Ingest(database, bus=None, enrolment="open")


def rows(database, *columns):
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(*columns))]


def test_readings_are_stored_and_acked_once(database, ingest):
    assert ingest.commit([telemetry(1, 3)]).acks == [Ack("fridge-1", STREAM, 3)]
    again = ingest.commit([telemetry(1, 3), telemetry(2, 4)])
    assert again.acks == [Ack("fridge-1", STREAM, 5)]
    assert again.stored == 2
    assert rows(database, Reading.seq, Reading.value) == [(n, n / 16) for n in range(1, 6)]


def test_a_hole_is_never_acked_over(database, ingest):
    ingest.commit([telemetry(1, 3)])
    assert ingest.commit([telemetry(7, 3)]).acks == [Ack("fridge-1", STREAM, 3)]
    assert ingest.commit([telemetry(4, 3)]).acks == [Ack("fridge-1", STREAM, 9)]
    assert rows(database, Span.first, Span.last, Span.cause) == [(1, 9, None)]


def test_a_gap_fills_a_hole_and_is_named(database, ingest):
    ingest.commit([telemetry(11, 2)])
    assert ingest.commit([gap(1, 10)]).acks == [Ack("fridge-1", STREAM, 12)]
    with database.read() as connection:
        (account,) = ledger.read(connection)
    assert account.gaps == (ledger.Gap(1, 10, "flash-full"),)
    assert (account.sampled, account.stored, account.lost, account.waiting_on_device) == (12, 2, 10, 0)


def test_a_gap_told_of_stored_readings_takes_none_of_them(database, ingest):
    ingest.commit([telemetry(1, 5), gap(3, 8)])
    with database.read() as connection:
        (account,) = ledger.read(connection)
    assert (account.stored, account.gaps) == (5, (ledger.Gap(6, 8, "flash-full"),))


@pytest.mark.parametrize("seed", range(5))
def test_any_order_grouping_and_repetition_stores_each_reading_once(database, ingest, seed):
    chance = random.Random(seed)
    messages, seq = [], {"a": 1, "b": 1}
    for _ in range(60):
        device = chance.choice("ab")
        count = chance.randint(1, 9)
        messages.append(telemetry(seq[device], count, device, stream=device * 8))
        seq[device] += count
    expected = {(device * 8, n) for device in "ab" for n in range(1, seq[device])}
    queue = messages * 3
    chance.shuffle(queue)
    stored = 0
    while queue:
        cut = chance.randint(1, 20)
        stored += ingest.commit(queue[:cut]).stored
        queue = queue[cut:]
    assert stored == len(expected)
    with database.read() as connection:
        for account in ledger.read(connection):
            assert account.stored == account.sampled == seq[account.device] - 1
            assert account.waiting_on_device == account.lost == 0
        assert connection.scalar(select(func.count()).select_from(Reading)) == len(expected)


def test_a_rejected_message_is_kept_with_its_reason_and_its_readings_become_a_gap(database, ingest):
    bad = telemetry(4, 2, ch=[["two words", "Cel"]])
    committed = ingest.commit([telemetry(1, 3), bad, telemetry(6, 1)])
    assert committed.acks == [Ack("fridge-1", STREAM, 6)]
    ((topic, reason, payload),) = rows(database, Rejected.topic, Rejected.reason, Rejected.payload)
    assert (topic, payload) == (bad.topic.decode(), bad.payload)
    assert "regex" in reason
    with database.read() as connection:
        assert ledger.read(connection)[0].gaps == (ledger.Gap(4, 5, "rejected"),)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("thermograph/v1/fridge-1/telemetry", b"\xff\x00\xfe"),
        ("thermograph/v1/fridge-1/telemetry", b'{"v":1,"stream":"9f3a1c02","seq":1,"tq":"\\u0000","r":[1]}'),
        ("thermograph/v1/fridge-1/state", b'{"v":1,"stream":"9f3a1c02","seq":1,"uptime":"\\u0000<script>"}'),
        ("thermograph/v1/fridge-1/status", b"\x00"),
        ("(not UTF-8)\x00", b""),
        ("thermograph/v1/Fridge 1/telemetry", b"{}"),
    ],
)
def test_poison_is_kept_and_the_rest_of_its_group_is_stored(database, ingest, topic, payload):
    committed = ingest.commit([telemetry(1, 2, device="good"), message(topic, payload), telemetry(3, 2, device="good")])
    assert (committed.stored, committed.rejected) == (4, 1)
    assert rows(database, Rejected.payload) == [(payload,)]


def test_an_oversized_message_is_kept_by_its_first_bytes_and_size(database, ingest):
    cut = Message(b"thermograph/v1/fridge-1/telemetry", b"x" * 1000, ARRIVAL, cut_from=10_000_000)
    assert ingest.commit([cut]).rejected == 1
    assert rows(database, Rejected.size) == [(10_000_000,)]


def test_what_only_the_database_refuses_is_rejected_alone(database, ingest):
    with database.write() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql(
                "CREATE TRIGGER fault BEFORE INSERT ON readings WHEN NEW.seq = 3 BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        else:
            connection.exec_driver_sql("ALTER TABLE readings ADD CHECK (seq <> 3)")
    committed = ingest.commit([telemetry(1, 2), telemetry(3, 1), telemetry(4, 2)])
    assert (committed.stored, committed.rejected, committed.acks) == (4, 1, [Ack("fridge-1", STREAM, 5)])
    with database.read() as connection:
        assert ledger.read(connection)[0].gaps == (ledger.Gap(3, 3, "rejected"),)


def test_enrolment_closed_rejects_the_unknown_and_keeps_the_known(database):
    ingest = Ingest(database, bus=None, enrolment="closed")
    with database.write() as connection:
        connection.execute(insert(Device), {"name": "known", "enrolled": True, "created": ARRIVAL})
    committed = ingest.commit([telemetry(1, 2, device="known"), telemetry(1, 2, device="stranger")])
    assert (committed.stored, committed.rejected) == (2, 1)
    assert rows(database, Device.name) == [("known",)]


def test_enrolment_open_shows_a_device_as_new(database, ingest):
    ingest.commit([message("thermograph/v1/fridge-1/status", b"online")])
    assert rows(database, Device.name, Device.enrolled, Device.status) == [("fridge-1", False, "online")]


def test_the_newest_reading_is_the_last_of_its_stream_even_when_the_clock_steps_back(database, ingest):
    ingest.commit([telemetry(1, 3)])
    ingest.commit([telemetry(4, 1, t=ARRIVAL - 3_600_000, r=[[0, 0, 7.5]])])
    ingest.commit([telemetry(2, 1)])
    assert rows(database, Newest.seq, Newest.value) == [(4, 7.5)]


def test_an_old_stream_does_not_overwrite_a_newer_reading(database, ingest):
    ingest.commit([telemetry(1, 1, stream="bbbbbbbb", t=ARRIVAL)])
    ingest.commit([telemetry(1, 1, stream="aaaaaaaa", t=ARRIVAL - 1000)])
    assert rows(database, Newest.t) == [(ARRIVAL,)]


def test_state_tells_how_much_was_sampled(database, ingest):
    ingest.commit([telemetry(1, 2)])
    state = {"v": 1, "stream": STREAM, "seq": 12, "uptime": 9}
    assert ingest.commit([message("thermograph/v1/fridge-1/state", state)]).acks == [Ack("fridge-1", STREAM, 2)]
    with database.read() as connection:
        (account,) = ledger.read(connection)
    assert (account.sampled, account.waiting_on_device) == (12, 10)


def test_a_device_that_cannot_open_its_outbox_is_heard_all_the_same(database, ingest):
    assert ingest.commit([message("thermograph/v1/fridge-1/state", {"v": 1, "safe": True})]).acks == []
    assert rows(database, Device.name, Device.health) == [("fridge-1", '{"v":1,"safe":true}')]


def test_only_news_moves_the_commit_number(database, ingest):
    def number():
        return rows(database, Progress.commit)[0][0]

    start = number()
    ingest.commit([telemetry(1, 2)])
    assert number() == start + 1
    ingest.commit([telemetry(1, 2)])
    assert number() == start + 1


def test_a_flood_of_islands_is_bounded(database, ingest):
    ingest.commit([telemetry(n, 1) for n in range(2, 2000, 2)])
    assert len(rows(database, Span.first)) <= 64
    assert ingest.commit([telemetry(n, 1) for n in range(1, 2000)]).acks == [Ack("fridge-1", STREAM, 1999)]
