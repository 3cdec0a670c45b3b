"""A board that is a pseudo-terminal: it speaks MicroPython's raw REPL, and runs what it is given on MicroPython.

Its file system is a folder. After a reset it runs main.py from there, whose console comes out of the port; Ctrl-C ends
that and gives the prompt. Fake are only the pins: `machine` has an address and a reset, and the radio can be broken.
"""

import contextlib
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import threading
import tty
from pathlib import Path

from backend.run import micropython

RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY_BANNER = b"\r\nMicroPython on a fake board\r\n>>> "
BOOT_LOG = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
RESET_CODE = 86
# Bytes that raw paste takes before it says that there is room again.
WINDOW = 4096
OUTBOX_SIZE = 256 * 4096

MACHINE = """
import sys
def unique_id():
    return {mac!r}
def reset():
    sys.exit({reset})
"""

# As ports/esp32/esp32_partition.c has it: without an offset writeblocks erases first, with one it only programs.
ESP32 = """
class Partition:
    TYPE_DATA = 1
    file = {file!r}
    def find(type, label=None):
        try:
            open(Partition.file, "rb").close()
        except OSError:
            return []
        return [Partition()] if label == "outbox" else []
    def ioctl(self, op, argument):
        assert op == 4
        return 256
    def readblocks(self, block, buffer, offset=0):
        with open(self.file, "rb") as f:
            f.seek(block * 4096 + offset)
            assert f.readinto(buffer) == len(buffer)
    def writeblocks(self, block, data, offset=None):
        with open(self.file, "r+b") as f:
            f.seek(block * 4096 + (offset or 0))
            if offset is not None:
                old = f.read(len(data))
                data = bytes([a & b for a, b in zip(old, data)])
                f.seek(block * 4096 + offset)
            f.write(data)
"""

# Code comes as its length and its text; what it prints is the answer, then Ctrl-D, its traceback, Ctrl-D.
INTERPRETER = """
import sys
{prelude}
space = {{"__name__": "__main__"}}
while True:
    size = sys.stdin.buffer.read(4)
    if len(size) < 4:
        break
    code = sys.stdin.buffer.read(int.from_bytes(size, "little"))
    told = ""
    try:
        exec(compile(code, "<stdin>", "exec"), space)
    except SystemExit:
        raise
    except BaseException as error:
        import io
        text = io.StringIO()
        sys.print_exception(error, text)
        told = text.getvalue()
    sys.stdout.buffer.write(b"\\x04" + told.replace("\\n", "\\r\\n").encode() + b"\\x04")
"""

OLD_VERSION = """
class Old:
    def __init__(self, real):
        self.real = real
    def __getattr__(self, name):
        return getattr(self.real, name)
class Implementation:
    name = "micropython"
    version = {version!r}
old = Old(sys)
old.implementation = Implementation
sys.modules["sys"] = old
"""

# main.py as the board starts it, but with a radio that tells why it does not join (drive.json has it switched off).
WITHOUT_RADIO = """
import packfs
from thermograph.boards.unix_network import Network
Network.trouble = {trouble!r}
__name__ = "__main__"
exec(open("main.py").read())
"""


class FakeBoard:
    """power() switches it on; port is where a computer finds it.

    version: of MicroPython, as it tells it. trouble: why its Wi-Fi does not come up. dead: it never answers.
    partitions: "ours" with one for the Outbox, "stock" without, None: a board that has none at all.
    """

    def __init__(
        self, folder: Path, mac: str = "240ac4000110", version=None, trouble=None, dead=False, partitions=None
    ):
        self.mac = mac
        self.folder = folder / "files"
        self.folder.mkdir(parents=True, exist_ok=True)
        pins = folder / "pins"
        pins.mkdir(exist_ok=True)
        (pins / "machine.py").write_text(MACHINE.format(mac=bytes.fromhex(mac), reset=RESET_CODE))
        self.outbox = folder / "outbox.partition"
        if partitions:
            (pins / "esp32.py").write_text(ESP32.format(file=str(self.outbox)))
        if partitions == "ours" and not self.outbox.exists():
            self.outbox.write_bytes(b"\xff" * OUTBOX_SIZE)
        self._erased = folder / "erased"
        prelude = OLD_VERSION.format(version=version) if version else ""
        self._interpreter = pins / "interpreter.py"
        self._interpreter.write_text(INTERPRETER.format(prelude=prelude))
        self._without_radio = pins / "without_radio.py"
        self._without_radio.write_text(WITHOUT_RADIO.format(trouble=trouble))
        if trouble:
            (self.folder / "drive.json").write_text('{"wifi": false}')
        self._trouble, self._dead, self._pins = trouble, dead, pins
        self.console = b""
        self.resets = 0
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._wake, self._waker = os.pipe()
        self._process = None
        self._mode, self._input = "friendly", b""
        self._booted = threading.Event()
        self._reset = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="fake board")

    def power(self):
        """It has booted when this returns: while a process is started it holds copies of all locks on ports."""
        self._thread.start()
        assert self._booted.wait(20)
        return self

    @property
    def is_erased(self):
        return self._erased.exists()

    def wait_for_resets(self, count):
        """Whether it has started so often within 20 s."""
        with self._reset:
            return self._reset.wait_for(lambda: self.resets >= count, 20)

    def close(self):
        os.write(self._waker, b"x")
        self._thread.join(20)
        self._end()
        for descriptor in (self._master, self._slave, self._wake, self._waker):
            os.close(descriptor)

    def erase(self):
        """What esptool does to a real one: no files, no partitions, and no MicroPython that answers."""
        self._erased.touch()
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.outbox.unlink(missing_ok=True)

    def write_micropython(self):
        """With our partitions: from then on its MicroPython is the newest, and makes its file system at its start."""
        self._erased.unlink(missing_ok=True)
        self._interpreter.write_text(INTERPRETER.format(prelude=""))
        (self._pins / "esp32.py").write_text(ESP32.format(file=str(self.outbox)))
        if not self.outbox.exists():
            self.outbox.write_bytes(b"\xff" * OUTBOX_SIZE)
        if not any(self.folder.iterdir()):
            (self.folder / "boot.py").write_text("# made by MicroPython\n")

    # -- the chip

    def _run(self):
        self._boot()
        self._booted.set()
        while True:
            outputs = [self._process.stdout] if self._mode == "main" else []
            ready, _, _ = select.select([self._master, self._wake, *outputs], [], [])
            if self._wake in ready:
                return
            if self._master in ready:
                for byte in os.read(self._master, 4096):
                    self._take(bytes([byte]))
            if self._mode == "main" and self._process.stdout in ready:
                self._pass_on()

    def _boot(self):
        self._end()
        with self._reset:
            self.resets += 1
            self._reset.notify_all()
        self._say(BOOT_LOG)
        self._input = b""
        if (self.folder / "main.py").exists():
            self._mode = "main"
            self._start("-X", "heapsize=1M", str(self._without_radio) if self._trouble else "main.py", ".")
        else:
            self._mode = "friendly"
            self._say(FRIENDLY_BANNER)

    def _start(self, *words):
        command = micropython.find(os.environ)
        assert command, "MicroPython is missing: python -m tools setup --for test"
        path = ":".join([".", str(self._pins), ".frozen"])
        self._process = subprocess.Popen(
            [*command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": path},
            bufsize=0,
        )

    def _end(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    # -- the console

    def _say(self, data):
        self.console += data
        while data and not (self._dead or self.is_erased):
            data = data[os.write(self._master, data) :]

    def _pass_on(self):
        data = self._process.stdout.read(4096)
        if data:
            self._say(data.replace(b"\n", b"\r\n"))
            return
        code = self._process.wait()
        self._end()
        if code == RESET_CODE:
            self._boot()
        else:
            self._mode = "friendly"
            self._say(FRIENDLY_BANNER)

    def _take(self, byte):
        if self._mode == "main":
            if byte == b"\x03":
                self._process.send_signal(signal.SIGINT)
                self._process.wait(20)
                self._pass_on_the_rest()
        elif self._mode == "friendly":
            if byte == b"\x01":
                self._mode, self._input = "raw", b""
                self._say(RAW_BANNER)
        elif self._mode == "paste":
            self._take_pasted(byte)
        else:
            self._take_raw(byte)

    def _take_pasted(self, byte):
        if byte == b"\x04":
            code, self._input, self._mode = self._input, b"", "raw"
            self._say(b"\x04")
            self._execute(code)
        else:
            self._input += byte
            if len(self._input) % WINDOW == 0:
                self._say(b"\x01")

    def _pass_on_the_rest(self):
        while self._mode == "main":
            self._pass_on()

    def _take_raw(self, byte):
        if byte == b"\x01" and self._input == b"\x05A":
            self._mode, self._input = "paste", b""
            self._say(b"R\x01" + struct.pack("<H", WINDOW))
        elif byte == b"\x01":
            self._input = b""
            self._say(RAW_BANNER)
        elif byte == b"\x02":
            self._mode = "friendly"
            self._say(FRIENDLY_BANNER)
        elif byte == b"\x03":
            self._input = b""
        elif byte == b"\x04" and not self._input.strip():
            self._end()
            self._input = b""
            self._say(b"OK\r\nMPY: soft reboot\r\n" + RAW_BANNER)
        elif byte == b"\x04":
            code, self._input = self._input, b""
            self._say(b"OK")
            self._execute(code)
        else:
            self._input += byte

    def _execute(self, code):
        if self._process is None:
            self._start(str(self._interpreter))
        self._process.stdin.write(struct.pack("<I", len(code)) + code)
        ends = 0
        while ends < 2:
            data = self._process.stdout.read(4096)
            if not data:
                left = self._process.wait()
                self._end()
                assert left == RESET_CODE, f"the interpreter ended with {left}"
                return self._boot()
            ends += data.count(b"\x04")
            self._say(data)
        self._say(b">")


@contextlib.contextmanager
def powered(folder, **more):
    board = FakeBoard(folder, **more).power()
    try:
        yield board
    finally:
        board.close()
