"""checks_memory.py on CPython and on MicroPython."""

import pytest

import checks_memory
from checks import names, run


@pytest.mark.parametrize("name", names(checks_memory))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_memory(where, name, request, umqtt_path, monkeypatch):
    monkeypatch.setenv("MICROPYPATH", umqtt_path)
    run(where, checks_memory, name, request, "1m")
