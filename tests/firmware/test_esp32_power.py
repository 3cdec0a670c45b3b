"""checks_power.py on CPython and on MicroPython."""

import pytest

import checks_power
from checks import names, run


@pytest.mark.parametrize("name", names(checks_power))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_power(where, name, request):
    run(where, checks_power, name, request, "2m")
