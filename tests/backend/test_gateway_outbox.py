"""The gateway's outbox: durable before the answer, freed by the ack only, a gap when full, whole after kill -9."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from backend.errors import MessageRejected, ServiceFailed
from backend.gateway.outbox import REMEMBERED, Entry, Outbox

ROOT = Path(__file__).parents[2]


def entry(device, value, id=None):
    return Entry(device, id, 1_763_812_345_000, "ntp", "temperature", "Cel", value, None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gateway" / "outbox.db"


@pytest.fixture
def outbox(path):
    outbox = Outbox(path, capacity=1000, most_sensors=5)
    yield outbox
    outbox.close()


def waiting(outbox, device):
    return [(kept.seq, kept.value) for kept in outbox.read(outbox.sensors[device], 0, 10_000)]


def test_each_sensor_has_a_stream_of_its_own(outbox):
    assert outbox.append([entry("a", 1), entry("b", 2), entry("a", 3)]) == [1, 1, 2]
    assert outbox.append([entry("a", 4)]) == [3]
    assert waiting(outbox, "a") == [(1, 1), (2, 3), (3, 4)]
    assert outbox.sensors["a"].stream != outbox.sensors["b"].stream
    assert outbox.waiting == 4


def test_only_acks_free_and_all_is_there_again_after_a_restart(outbox, path):
    outbox.append([entry("a", n) for n in range(10)])
    outbox.free({"a": 4, "nobody": 3})
    outbox.free({"a": 2})
    stream = outbox.sensors["a"].stream
    outbox.close()
    again = Outbox(path, 1000, 5)
    sensor = again.sensors["a"]
    assert (sensor.stream, sensor.last, sensor.freed, again.waiting) == (stream, 10, 4, 6)
    assert waiting(again, "a") == [(n + 1, n) for n in range(4, 10)]
    assert again.append([entry("a", 10)]) == [11]
    again.close()


def test_the_same_id_is_the_same_reading_also_after_it_was_freed_and_after_a_restart(outbox, path):
    assert outbox.append([entry("a", 1, "x"), entry("a", 1, "x"), entry("b", 1, "x")]) == [1, 1, 1]
    outbox.free({"a": 1})
    assert outbox.append([entry("a", 1, "x")]) == [1]
    outbox.close()
    again = Outbox(path, 1000, 5)
    (other,) = again.append([entry("a", 2, "x")])
    assert isinstance(other, MessageRejected)
    # After 64 more it may mean another reading.
    again.append([entry("a", n, f"y{n}") for n in range(REMEMBERED)])
    assert again.append([entry("a", 2, "x")]) == [REMEMBERED + 2]
    again.close()


def test_a_full_outbox_drops_the_oldest_of_who_holds_the_most(outbox):
    outbox.append([entry("a", n) for n in range(100)])
    outbox.append([entry("flood", n) for n in range(950)])
    sensor = outbox.sensors["flood"]
    assert outbox.waiting <= 1000
    assert outbox.sensors["a"].dropped == 0
    assert sensor.dropped > 0
    assert waiting(outbox, "flood")[0][0] == sensor.dropped + 1
    assert outbox.waiting == sum(len(waiting(outbox, name)) for name in outbox.sensors)
    # The ack that passes the gap.
    outbox.free({"flood": sensor.dropped + 5})
    assert outbox.waiting == sum(len(waiting(outbox, name)) for name in outbox.sensors)


def test_no_more_sensors_than_it_may_know(outbox):
    answers = outbox.append([entry(f"s{n}", 1) for n in range(8)])
    assert answers[:5] == [1] * 5
    assert all(isinstance(answer, MessageRejected) for answer in answers[5:])
    assert outbox.append([entry("s2", 1)]) == [2]


def test_a_new_stream_numbers_what_waits_anew(outbox, path):
    outbox.append([entry("a", n, f"i{n}") for n in range(9)])
    outbox.free({"a": 4})
    before = outbox.sensors["a"].stream
    outbox.renew(outbox.sensors["a"])
    outbox.close()
    again = Outbox(path, 1000, 5)
    assert again.sensors["a"].stream != before
    assert waiting(again, "a") == [(n, n + 3) for n in range(1, 6)]
    assert again.append([entry("a", 8, "i8"), entry("a", 9, "i9")]) == [5, 6]
    again.close()


def test_two_gateways_on_one_outbox(outbox, path):
    outbox.append([entry("a", 1)])
    with pytest.raises(ServiceFailed, match="another gateway"):
        Outbox(path, 1000, 5)


def test_a_file_that_is_no_outbox(path):
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ServiceFailed, match="cannot be opened"):
        Outbox(path, 1000, 5)


WRITER = """
import sys
from pathlib import Path
from backend.gateway.outbox import Entry, Outbox
outbox = Outbox(Path(sys.argv[1]), 100_000, 100)
n = 0
while True:
    group = [Entry(f"s{n % 7}", f"i{n + k}", 1763812345000, "ntp", "t", "Cel", n + k, None) for k in range(3)]
    seqs = outbox.append(group)
    sys.stdout.write("".join(f"s{n % 7} {seq} {one.value}\\n" for one, seq in zip(group, seqs)))
    sys.stdout.flush()
    n += 3
"""


def test_what_was_answered_is_there_after_kill_9(path):
    chance = random.Random(4)
    answered = {}
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        lines = [writer.stdout.readline() for _ in range(chance.randrange(30, 300))]
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                device, seq, value = line.split()
                answered[device, int(seq)] = float(value)
    outbox = Outbox(path, 100_000, 100)
    found = {(name, seq): value for name in outbox.sensors for seq, value in waiting(outbox, name)}
    outbox.close()
    assert len(answered) > 100
    assert {key: found.get(key) for key in answered} == answered
