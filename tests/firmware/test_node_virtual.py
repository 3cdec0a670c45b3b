"""checks_node.py on CPython and on MicroPython."""

import pytest

import checks_node
from checks import names, run


@pytest.mark.parametrize("name", names(checks_node))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_node(where, name, request):
    run(where, checks_node, name, request, "2m")
