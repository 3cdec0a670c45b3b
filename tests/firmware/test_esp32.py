"""checks_esp32.py on CPython and on MicroPython."""

import pytest

import checks_esp32
from checks import names, run


@pytest.mark.parametrize("name", names(checks_esp32))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_esp32(where, name, request, umqtt_path, monkeypatch):
    monkeypatch.setenv("MICROPYPATH", umqtt_path)
    run(where, checks_esp32, name, request, "1m")
