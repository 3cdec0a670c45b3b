"""The whole firmware as a board has it, on a 32-bit MicroPython over fakes/: what its heap holds.

32-bit MicroPython is the board's heap in all but a few objects: fakes' pins and radios are Python's here, which errs
by some hundred bytes on the safe side. TLS takes the system's memory, as it takes ESP-IDF's on a board.
"""

import ast
import functools
import io
import json
import subprocess
import tokenize
from pathlib import Path

from backend.run import micropython

from device_bench import HERE

PARTS = ("bare", "life", "esp32_bench", "sensor_buses", *("fakes/" + name for name in (
    "chip", "idf", "machine", "esp32", "network", "onewire", "dht")))  # fmt: skip
BOARD = 103 * 1024  # bytes: the heap of a board whose second step leaves ESP-IDF what TLS needs
MISSING = "NO 32-BIT MICROPYTHON: python -m tools setup --for test, on Debian on an x86-64 PC"
# Names that MicroPython for ESP32 has in its flash, for its own modules use them: there they cost nothing.
_IN_FLASH = """
ADC AP_IF ATTN_11DB DEEPSLEEP_RESET HARD_RESET HEAP_DATA I2C IN OPEN_DRAIN OUT OneWire PULL_UP PWRON_RESET
Partition Pin RTC SOFT_RESET SPI STA_IF TYPE_DATA WAKEUP_ALL_LOW WDT WDT_RESET WLAN active atten baudrate config
connect datetime deepsleep dht_readinto disconnect esp32 feed freq idf_heap_info ifconfig ioctl isconnected label
machine memory miso network onewire read_uv readbit readblocks readfrom readfrom_mem reconnects reset reset_cause
rssi scan sck scl sda security ssid status unique_id wake_on_ext0 writebit writeblocks writebyte writeto writeto_mem
"""
IN_FLASH = frozenset(_IN_FLASH.split())
FIRST = ("main", "packfs")  # modules that a start loads before any other
ROOM = 320 * 1024  # bytes, where the heap is measured and has not to fit into something
_MARKS = 1.024  # a heap's share of bits about what is in use: 3 for each 16 bytes
_SHORT = 10  # characters of a text that MicroPython's compiler makes a name of


class Missing(Exception):
    """This machine has no 32-bit MicroPython."""


class Rig:
    """base: a folder for it all; firmware: its sources; script: a module of this folder, what is to run; put: load, or
    load_project. modules: what a board may load."""

    def __init__(self, base, firmware, umqtt, script, put=None):
        from tools.mpy import compile_one

        self.command = micropython.find_32()
        if self.command is None:
            raise Missing(MISSING)
        self._bench, self.board = base / "bench", base / "board"
        for folder in (self._bench, self.board):
            folder.mkdir(parents=True)
        self._names = (put or load)(Path(firmware), Path(umqtt), self.board)
        self.modules = sorted(self._names)
        for name in (*PARTS, script):
            compile_one(name + ".py", HERE / (name + ".py"), self._bench)
        fakes = [names_of(path.read_bytes()) for path in self._bench.rglob("*.mpy")]
        self._write_names(set().union(*self._names.values(), *fakes))
        # First "", as on a board: each module keeps its file's name, which a long path would make a dear one.
        places = ["", str(self._bench), str(self._bench / "fakes")]
        code = "import sys\nsys.path[:] = %r\nimport bare, %s\n" % (places, script)
        (self._bench / "run.py").write_text(code)

    def _write_names(self, names):
        (self._bench / "names").write_text("".join(json.dumps(name) + "\n" for name in sorted(names)))

    def words(self, *arguments, heap=ROOM):
        """What starts it, in the folder `board`. heap: bytes."""
        return [*self.command, "-X", "heapsize=%d" % heap, str(self._bench / "run.py"), *map(str, arguments)]

    def start(self, *arguments, heap=ROOM):
        """A process, its output one stream of text."""
        words = self.words(*arguments, heap=heap)
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.board)

    def run(self, *arguments, heap=ROOM, seconds=100):
        """(its output, its exit code)."""
        with self.start(*arguments, heap=heap) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            finally:
                process.kill()
        return output, process.returncode

    def names_in(self, modules):
        """The names that these modules bring and a board has not."""
        return set().union(*(self._names[name] for name in {*modules, *FIRST} if name in self._names)) - IN_FLASH

    def cost_of_names(self, names):
        """Bytes that an empty interpreter takes for them, its pools included."""
        kept = (self._bench / "names").read_text()
        self._write_names(names)
        code = "import sys\nsys.path.append(%r)\nimport bare\nprint(bare.EMPTY - bare.ALONE)" % str(self._bench)
        try:
            done = subprocess.run([*self.command, "-c", code], capture_output=True, text=True, timeout=20, check=True)
        finally:
            (self._bench / "names").write_text(kept)
        return int(done.stdout)

    def heap(self, held):
        """The heap in which the firmware has what it has on a board: the fakes, and the names that are not its own,
        hold the rest. held: bytes of the fakes and all names."""
        return BOARD + round((held - self.cost_of_names(self.names_in(self.modules))) * _MARKS)


def load(firmware, umqtt, folder):
    """Put a release into the folder, as it is on a board: {module: its names}."""
    from tools.mpy import MAIN, PACK, PACKFS, pack

    made = dict(compiled(firmware, umqtt))
    names = {module_of(name): names_of(content) for name, content in made.items()}
    names["main"] = names_in_source((firmware / MAIN).read_text())
    (folder / MAIN).write_bytes((firmware / MAIN).read_bytes())
    (folder / PACKFS).write_bytes(made.pop(PACKFS))
    (folder / PACK).write_bytes(pack.build(made))
    return names


def load_project(firmware, umqtt, folder):
    """The same with the files of `tools wokwi --project`, as a board on wokwi.com has them before its first start."""
    from tools.mpy import PACKFS, pack
    from tools.wokwi import project

    made = dict(compiled(firmware, umqtt))
    del made[PACKFS]
    settings = (firmware / "wokwi" / "settings.json").read_bytes()
    files = project.build(firmware, pack.build(made), '{"parts": []}', settings)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    names = {module_of(name): names_of(content) for name, content in made.items()}
    names["packfs"] = names_in_source(files["packfs.py"].decode())
    names["main"] = names_in_source((files["main.py"] + files[project.START]).decode())
    return names


@functools.cache
def compiled(firmware, umqtt):
    """Once for all tests: it takes some seconds."""
    from tools.mpy.compiling import compile_all

    return compile_all(firmware, umqtt)


def module_of(name):
    """Of a file's name in a release."""
    return name.removesuffix(".mpy").removesuffix("/__init__").replace("/", ".")


def names_of(data):
    """The names that a .mpy file brings (MicroPython's manual, ".mpy files", version 6): its table of qstrs, less
    those that each MicroPython has."""
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


def names_in_source(text):
    """Of a file that the board compiles: its local names too."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    texts = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    short = {one for one in texts if isinstance(one, str) and len(one) <= _SHORT}
    return short | {token.string for token in tokens if token.type == tokenize.NAME}
