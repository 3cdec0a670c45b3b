"""Checks of clock and sntp, on CPython and MicroPython; a device that sets its clock from time servers over UDP."""

import time

import pytest

import checks_clock
import checks_sntp
from checks import names, run
from device_bench import Backend, stop, wait_until
from link_bench import Udp


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in (checks_clock, checks_sntp) for name in names(module)]
)
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_clock(where, module, name, request):
    run(where, module, name, request)


def test_a_device_without_a_clock_gets_one(device, mosquitto):
    """Readings before the first answer go by uptime, those after it by the time servers' time, a day ahead of ours;
    seq goes on."""
    ahead = 86400000

    def answer_late(data):
        time.sleep(1)
        return [checks_sntp.reply(data[40:48], int(time.time() * 1000) + ahead)]

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
