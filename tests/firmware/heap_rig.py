"""The whole firmware, compiled as for a board, on a 32-bit MicroPython over fakes/: what its heap holds.

32-bit MicroPython is the board's heap in all but a few objects: fakes' pins and radios are Python's here, which errs
by some hundred bytes on the safe side. TLS takes the system's memory, as it takes ESP-IDF's on a board.
"""

import json
import subprocess
from pathlib import Path

from backend.run import micropython

from device_bench import HERE

PARTS = ("bare", "esp32_bench", "sensor_buses", *("fakes/" + name for name in (
    "chip", "machine", "esp32", "network", "onewire", "dht")))  # fmt: skip
BOARD = 103 * 1024  # bytes: the heap of a board whose second step leaves ESP-IDF what TLS needs
MISSING = "NO 32-BIT MICROPYTHON: python -m tools setup --for test, on Debian on an x86-64 PC"
_ROOM = "600k"  # where the heap is measured, and not what it has to fit into


class Missing(Exception):
    """This machine has no 32-bit MicroPython."""


class Rig:
    """base: a folder for it all; firmware: its sources; script: of this folder, what is to run."""

    def __init__(self, base, firmware, umqtt, script):
        from tools.mpy import compile_one

        self.command = micropython.find_32()
        if self.command is None:
            raise Missing(MISSING)
        self.base, self._script, self.bench = base, script, base / "bench"
        self.firmware = load_build(Path(firmware), base / "mpy", Path(umqtt))
        for name in (*PARTS, script):
            compile_one(name + ".py", HERE / (name + ".py"), self.bench)
        self.names = {path: names_of(path.read_bytes()) for path in sorted(base.rglob("*.mpy"))}
        self.modules = sorted(module_of(path.relative_to(self.firmware)) for path in self._firmware_files())
        self._write_names(set().union(*self.names.values()))
        places = [str(self.firmware), str(self.bench), str(self.bench / "fakes")]
        (self.bench / "run.py").write_text("import sys\nsys.path[:0] = %r\nimport bare, %s\n" % (places, script))

    def _firmware_files(self):
        return [path for path in self.names if self.firmware in path.parents]

    def _write_names(self, names):
        (self.bench / "names").write_text("".join(json.dumps(name) + "\n" for name in sorted(names)))

    def words(self, *arguments, heap=_ROOM):
        return [*self.command, "-X", "heapsize=%s" % heap, str(self.bench / "run.py"), *map(str, arguments)]

    def run(self, *arguments, heap=_ROOM, seconds=100):
        return subprocess.run(
            self.words(*arguments, heap=heap), capture_output=True, text=True, timeout=seconds, cwd=self.base
        )

    def names_in(self, modules):
        """The names that these modules bring."""
        paths = [path for path in self._firmware_files() if module_of(path.relative_to(self.firmware)) in modules]
        return set().union(*(self.names[path] for path in paths))

    def cost_of_names(self, names):
        """Bytes that an empty interpreter takes for them, its pools included."""
        kept = (self.bench / "names").read_text()
        self._write_names(names)
        code = "import sys\nsys.path.append(%r)\nimport bare\nprint(bare.EMPTY - bare.ALONE)" % str(self.bench)
        try:
            done = subprocess.run([*self.command, "-c", code], capture_output=True, text=True, timeout=20, check=True)
        finally:
            (self.bench / "names").write_text(kept)
        return int(done.stdout)


def load_build(firmware, out, umqtt):
    """Compile the firmware as it goes onto a board; the folder to be found on sys.path."""
    from tools.mpy import build

    build(firmware, out, umqtt)
    return out


def names_of(data):
    """The names that a .mpy file brings (docs: MicroPython .mpy files, version 6): its table of qstrs but for those
    that are MicroPython's own."""
    at = 4

    def number():
        nonlocal at
        value = 0
        while True:
            byte = data[at]
            at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value

    count, _ = number(), number()
    names = set()
    for _ in range(count):
        size = number()
        if not size & 1:
            names.add(data[at : at + (size >> 1)].decode())
            at += (size >> 1) + 1
    return names


def module_of(path):
    """The module's name of a file, relative to the folder that is on sys.path."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
