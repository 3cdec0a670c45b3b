"""One archiver by lease: nobody else while it lives, another one soon after it died."""

import threading

import pytest

from backend import lease as module
from backend.lease import LAPSE, RENEW, Lease

pytestmark = pytest.mark.every_database


class Clock:
    """Each machine has one of its own, and they need not agree."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def first(database):
    return Lease(database, "archive", Clock(1_000.0))


@pytest.fixture
def second(database):
    return Lease(database, "archive", Clock(77.0))


def test_one_holds_it_and_the_other_waits_for_as_long_as_it_lives(first, second):
    assert first.hold()
    for _ in range(20):
        for lease in (first, second):
            lease._clock.now += RENEW
        assert first.hold()
        assert not second.hold()


def test_a_dead_holder_is_followed_within_30_seconds(first, second):
    assert first.hold()
    waited = 0
    while not second.hold():
        waited += 1
        second._clock.now += 1
        assert waited < 30
    assert waited >= LAPSE
    # The first one was only stopped: it wakes up, and sees that it is not alone.
    first._clock.now += 60
    assert not first.hold()
    assert second.hold()


def test_a_released_lease_is_free_at_once(first, second):
    assert first.hold()
    first.release()
    assert second.hold()
    first.release()
    second._clock.now += RENEW
    assert second.hold()


def test_leases_of_other_names_are_others(database, first):
    assert first.hold()
    assert Lease(database, "restore").hold()


def test_of_many_that_start_at_once_one_gets_it(database):
    leases = [Lease(database, "archive") for _ in range(6)]
    start, got = threading.Barrier(len(leases)), []

    def try_it(lease):
        start.wait()
        got.append(lease.hold())

    threads = [threading.Thread(target=try_it, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


def test_the_promise_of_30_seconds_is_kept_by_the_constants():
    assert module.RENEW < module.LAPSE / 2
    assert module.LAPSE + module.RENEW < 30
