"""Names become shorter before mpy-cross sees them; what they do, and on which line, stays."""

import ast

import click
import pytest

from tools.mpy.shorten import shorten


def one(source, others=None):
    return shorten({"thermograph/a.py": source}, others or {})["thermograph/a.py"]


def run(source):
    space = {}
    exec(compile(source, "a", "exec"), space)  # noqa: S102
    return space["answer"]


PROGRAM = """
import _thread

_LIMIT = 3.5


class Base:
    def __init__(self, first, second=2):
        self._first, self._second = first, second

    def _sum(self, factor=1, *more):
        inner = lambda value: value + self._first + factor  # noqa: E731
        return sum([inner(one) for one in more], self._second)


def _helper(things, value):
    def nested(value):
        return value * _LIMIT

    try:
        raise ValueError(value)
    except ValueError as error:
        text = str(error)
    return [nested(thing) + value for thing in things], text


answer = Base(1)._sum(10, 20, 30), _helper([1, 2], 5), "é"[0]
"""


def test_a_program_does_the_same_on_the_same_lines_with_shorter_names():
    short = one(PROGRAM)
    assert run(short) == run(PROGRAM) and short.count("\n") == PROGRAM.count("\n")
    for name in ("_helper", "_first", "things", "factor", "_LIMIT"):
        assert name not in short, short
    assert "import _thread" in short and "__init__" in short and "Base" in short
    old, new = ast.parse(PROGRAM), ast.parse(short)
    assert [getattr(a, "lineno", 0) for a in ast.walk(old)] == [getattr(b, "lineno", 0) for b in ast.walk(new)]


def test_a_parameter_that_a_call_names_stays():
    source = "def f(value, other):\n    return value + other\n"
    assert "other" in one(source, {"main.py": "f(1, other=2)"}) and "value" not in one(
        source, {"main.py": "f(1, other=2)"}
    )


def test_a_family_shares_its_names_and_strangers_use_the_same_few():
    short = shorten(
        {
            "thermograph/base.py": "class Base:\n    def _tick(self):\n        return self._state\n\n    _state = 1\n",
            "thermograph/boards/child.py": "from ..base import Base\n\n\nclass Child(Base):\n    _state = 2\n",
            "thermograph/other.py": "class Other:\n    _count = 1\n    _total = 2\n    _rest = 3\n",
        },
        {},
    )
    space = {}
    exec(short["thermograph/base.py"], space)  # noqa: S102
    state = ast.parse(short["thermograph/base.py"]).body[0].body[1].targets[0].id
    assert state in short["thermograph/boards/child.py"]
    assert "_a" in short["thermograph/base.py"] and "_a" in short["thermograph/other.py"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("class C:\n    def f(self):\n        return getattr(self, '_state')\n", "by its text"),
        ("class C:\n    def f(self, state):\n        return getattr(self, '_' + state)\n", "by its text"),
        ("def f(other):\n    return other._secret\n", "private to another"),
        ("def f(_secret):\n    return f'{_secret}'\n", "f-string"),
    ],
)
def test_what_cannot_be_renamed_safely_is_refused(source, why):
    with pytest.raises(click.ClickException, match=why):
        one(source)
