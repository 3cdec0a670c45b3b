"""checks_wifi.py on CPython and on MicroPython."""

import pytest

import checks_wifi
from checks import names, run


@pytest.mark.parametrize("name", names(checks_wifi))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_wifi(where, name, request):
    run(where, checks_wifi, name, request)
