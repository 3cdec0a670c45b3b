"""checks_node.py and checks_node_trouble.py on CPython and on MicroPython."""

import pytest

import checks_node
import checks_node_trouble
from checks import names, run


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in (checks_node, checks_node_trouble) for name in names(module)]
)
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_node(where, module, name, request):
    run(where, module, name, request, "2m")
