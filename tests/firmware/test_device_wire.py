"""checks_wire.py on CPython and on MicroPython."""

import pytest

import checks_wire
from checks import HERE, names, run


@pytest.mark.parametrize("name", names(checks_wire))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_wire(where, name, request):
    run(where, checks_wire, name, request)


def test_every_malformed_ack_is_tried():
    files = (HERE.parent / "wire" / "v1" / "malformed").glob("ack-*.json")
    assert {file.stem for file in files} <= set(checks_wire.ACKS.split())
