"""checks_clock.py on CPython and on MicroPython; and a device that sets its clock from real time servers over UDP."""

import time

import pytest

import checks_clock
from checks import names, run
from device_bench import Backend, stop, wait_until
from link_bench import Udp


@pytest.mark.parametrize("name", names(checks_clock))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_clock(where, name, request):
    run(where, checks_clock, name, request)


def test_a_device_without_a_clock_gets_one(device, mosquitto):
    """Readings before the first answer go by uptime, those after it by the time servers' time, a day ahead of ours;
    seq goes on."""
    ahead = 86400000

    def answer_late(data):
        time.sleep(1)
        return [checks_clock.reply(data[40:48], int(time.time() * 1000) + ahead)]

    books = Backend(mosquitto.port)
    with Udp(answer_late) as one, Udp(answer_late) as two:
        kept = device(mosquitto.port, clock="none", ntp=[one.name, two.name], interval=0.1)
        wait_until(lambda: books.stored > 5)
        assert max(list(books.times.values())) < ahead, "uptime"
        wait_until(lambda: max(list(books.times.values())) > ahead)
        wait_until(lambda: books.stored > 40)
        assert stop(kept) == 0
    books.stop()
    dated = {seq: t for seq, t in books.times.items() if t > ahead}
    assert min(dated) > max(set(books.times) - set(dated)), "dated from one reading on"
    assert abs(max(dated.values()) - time.time() * 1000 - ahead) < 10000
    assert kept.lines("clock")
