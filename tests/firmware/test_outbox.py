"""checks_outbox.py on CPython and on MicroPython; the cuts in numbers; and the Outbox's size."""

import pytest
from thermograph.outbox import Outbox

import checks_outbox
from checks import names, run
from nor import Nor

CUTS = ("check_cut_at_steps_of_one_turn", "check_lives_with_random_cuts")
PLAIN = [name for name in names(checks_outbox) if name not in CUTS]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_outbox(where, name, request):
    run(where, checks_outbox, name, request, "2m")


def test_a_cut_at_every_kind_of_step_and_in_its_mending():
    assert checks_outbox.check_cut_at_steps_of_one_turn() >= 2000


def test_lives_of_random_cuts():
    assert checks_outbox.check_lives_with_random_cuts(seeds=15, cuts=80) == 1200


def test_random_cuts_on_micropython(request):
    run("micropython", checks_outbox, "check_lives_with_random_cuts", request, "2m")


def test_60_000_readings_in_a_mebibyte():
    outbox = Outbox(Nor(256), lambda size: b"\x9f\x3a\x1c\x02", [("28ff641e8216c3%02x" % n, "Cel") for n in range(8)])
    assert outbox.capacity >= 60000
    assert outbox.stream == "9f3a1c02"
