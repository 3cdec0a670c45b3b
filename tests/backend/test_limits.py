"""Rate limits: in one process's memory, and in Redis for several."""

import threading
import time

import pytest

from backend import limits
from backend.errors import SettingsError
from backend.limits import ProcessLimits, SharedLimits
from backend.settings import Settings
from backend.shared_memory import SharedMemory
from tests.servers import Redis


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def memory(redis):
    memory = SharedMemory(redis.url)
    yield memory
    memory.close()


@pytest.fixture(params=["process", "redis"])
def counted(request, memory):
    if request.param == "process":
        return ProcessLimits()
    # With nothing to fall back on: what is counted is counted there.
    return SharedLimits(memory, None)


def key(request):
    return request.node.nodeid


def test_so_many_at_once_and_then_the_wait_is_told(counted, request):
    assert [counted.hit(key(request), 5, 300) for _ in range(5)] == [0.0] * 5
    waits = [counted.hit(key(request), 5, 300) for _ in range(3)]
    # What is refused does not count: the wait does not grow.
    assert all(0 < wait <= 60 for wait in waits), waits


def test_keys_do_not_count_for_each_other(counted, request):
    assert counted.hit(f"{key(request)} a", 1, 300) == 0.0
    assert counted.hit(f"{key(request)} b", 1, 300) == 0.0
    assert counted.hit(f"{key(request)} a", 1, 300) > 0


def test_who_waited_as_long_as_told_gets_through(counted, request):
    assert counted.hit(key(request), 1, 0.3) == 0.0
    while wait := counted.hit(key(request), 1, 0.3):
        time.sleep(wait)
    assert counted.hit(key(request), 1, 0.3) > 0


def test_it_fills_at_an_even_rate():
    clock = Clock()
    counted = ProcessLimits(clock)
    assert [counted.hit("x", 5, 300) for _ in range(6)] == [0.0] * 5 + [pytest.approx(60)]
    clock.now += 60
    assert [counted.hit("x", 5, 300) for _ in range(2)] == [0.0, pytest.approx(60)]
    clock.now += 3000
    assert [counted.hit("x", 5, 300) for _ in range(6)] == [0.0] * 5 + [pytest.approx(60)]


def test_many_names_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(limits, "MOST_KEYS", 100)
    clock = Clock()
    counted = ProcessLimits(clock)
    for _ in range(5):
        assert counted.hit("victim", 5, 300) == 0.0
    for number in range(1000):
        clock.now += 0.01
        counted.hit(f"name {number}", 5, 300)
    assert len(counted._empty) <= 100
    # Who is nearest to his limit is forgotten last.
    assert counted.hit("victim", 5, 300) > 0


@pytest.mark.parametrize("shared", [False, True])
def test_threads_never_get_more_than_most(memory, request, shared):
    counted = SharedLimits(memory, None) if shared else ProcessLimits()
    through = []

    def hit():
        for _ in range(20):
            if counted.hit(f"{key(request)}", 7, 3600) == 0.0:
                through.append(1)

    threads = [threading.Thread(target=hit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(through) == 7


def test_two_processes_share_one_count(redis, request):
    memories = [SharedMemory(redis.url) for _ in range(2)]
    one, other = (SharedLimits(memory, None) for memory in memories)
    assert [each.hit(key(request), 3, 300) > 0 for each in (one, other, one, other)] == [False, False, False, True]
    for memory in memories:
        memory.close()


def test_a_dead_redis_leaves_each_process_its_own_limits(tmp_path, caplog):
    server = Redis(tmp_path, password="hunter2")
    server.start()
    clock = Clock()
    memory = SharedMemory(server.url, "hunter2", clock)
    counted = limits.choose(memory)
    assert counted.hit("x", 1, 300) == 0.0
    assert counted.hit("x", 1, 300) > 0
    server.kill()
    # This process has not seen the first one: it counts by itself.
    assert counted.hit("x", 1, 300) == 0.0
    assert counted.hit("x", 1, 300) > 0
    assert "did not answer" in caplog.text and "hunter2" not in caplog.text
    server.start()
    assert counted.hit("y", 1, 300) == 0.0
    assert memory.load("limit:y") is None  # not asked again so soon
    clock.now += 10
    assert counted.hit("x", 1, 300) == 0.0
    memory.close()
    server.close()


def test_a_wrong_password_is_no_answer_and_not_shown(tmp_path, caplog):
    server = Redis(tmp_path, password="hunter2")
    server.start()
    memory = SharedMemory(server.url, "hunter3")
    assert memory.load("x") is None
    assert "hunter" not in caplog.text
    memory.close()
    server.close()


def test_a_url_that_is_none_and_a_password_in_it_are_settings_errors():
    with pytest.raises(SettingsError, match="THERMOGRAPH_REDIS"):
        SharedMemory("http://127.0.0.1/")
    with pytest.raises(SettingsError, match="THERMOGRAPH_REDIS_PASSWORD") as caught:
        Settings.read({"THERMOGRAPH_REDIS": "redis://:hunter2@127.0.0.1/0"})
    assert "hunter2" not in str(caught.value)


def test_without_redis_there_are_limits_all_the_same():
    assert isinstance(limits.choose(None), ProcessLimits)
