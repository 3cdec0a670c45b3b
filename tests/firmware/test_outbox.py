"""checks_outbox.py on CPython and on MicroPython; cuts in numbers; wear, as README.md states it; the Outbox's size."""

import pytest
from thermograph.outbox import Outbox

import checks_outbox
from checks import HERE, names, run
from nor import Nor
from wear import erases_per_year

CUTS = "check_lives_with_cuts_at_each_step"
FULL = "check_a_life_on_a_flash_of_full_size"
PLAIN = [name for name in names(checks_outbox) if name not in (CUTS, FULL)]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_outbox(where, name, request):
    run(where, checks_outbox, name, request, "2m")


def test_a_cut_at_each_step_in_each_way_and_in_its_mending():
    assert checks_outbox.check_lives_with_cuts_at_each_step(seeds=5, steps=60, first=11) >= 2500


@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_cuts_on_a_flash_of_full_size(where, request):
    run(where, checks_outbox, FULL, request, "24m")


def test_cuts_on_micropython(request):
    run("micropython", checks_outbox, CUTS, request, "2m")


def test_60_000_readings_in_a_mebibyte():
    outbox = Outbox(Nor(256), lambda size: b"\x9f\x3a\x1c\x02", [("28ff641e8216c3%02x" % n, "Cel") for n in range(8)])
    assert outbox.capacity >= 60000
    assert outbox.stream == "9f3a1c02"


def test_wear_is_as_the_readme_says():
    """One reading a minute, 1 MiB: what the flash model counts while the ring goes round, extrapolated to a year."""
    text = " ".join((HERE.parent.parent / "firmware" / "README.md").read_text().split())
    one, four = erases_per_year(1), erases_per_year(4)
    assert "%.1f erases per sector and year with 1 channel, %.1f with 4" % (one, four) in text
    assert "last %d,000 and %d,000 years" % (round(1e5 / one / 1000), round(1e5 / four / 1000)) in text
