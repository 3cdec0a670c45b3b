"""checks_schedule.py on CPython and on MicroPython."""

import pytest

import checks_schedule
from checks import names, run


@pytest.mark.parametrize("name", names(checks_schedule))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_schedule(where, name, request):
    run(where, checks_schedule, name, request, "1m")
