"""The board's prompt: MicroPython's raw REPL, by mpremote's transport."""

import ast
import binascii
import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator
from typing import Any

from . import ports
from .errors import ChipFailed, FilesystemFailed
from .mask import Mask

ATTEMPTS = 3
# Seconds: of one byte, and until the prompt is there. The firmware says goodbye first, which takes it 2 s at most.
PATIENCE = 1.0
UNTIL_PROMPT = 6.0
RESET = "import machine\nmachine.reset()"
# A board that ran the firmware has a watchdog that nothing can stop: 60 s without this, and it resets.
FEED = "import machine\nmachine.WDT(timeout=60000).feed()"
FEED_IF_ANY = "import machine\nif hasattr(machine, 'WDT'):\n machine.WDT(timeout=60000).feed()"
PROBE = """
import sys, machine
def has_outbox():
    try:
        import esp32
        return bool(esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox"))
    except ImportError:
        return None
print(repr((sys.platform, tuple(sys.implementation.version)[:2], bytes(machine.unique_id()), has_outbox())))
"""
READ_SETTINGS = """
try:
    with open("settings.json") as f:
        print(f.read())
except OSError:
    pass
"""
SAVE_SETTINGS = """
import json, os, packfs
from thermograph.boards.files import Files
from thermograph.settings_store import Store
Store(Files({folder!r}, lambda file: file.flush(), os)).save(json.loads({text!r}))
"""
# Names and SHA-256 of what is there, a line each: hashing on the board saves reading all of it over the cable.
HASHES = """
import os, hashlib, binascii
buffer = memoryview(bytearray(1024))
def show(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            n = f.readinto(buffer)
            if not n:
                break
            h.update(buffer[:n])
    print(path, binascii.hexlify(h.digest()).decode())
def walk(path):
    try:
        kind = os.stat(path)[0]
    except OSError:
        return
    if kind & 0x4000:
        for entry in os.ilistdir(path):
            if entry[0] not in (".", ".."):
                walk(path + "/" + entry[0])
    else:
        show(path)
for path in {paths!r}:
    walk(path)
"""

# A line each: the name of a file, and its size.
LIST = """
import os
def walk(folder):
    for entry in os.ilistdir(folder) if folder else os.ilistdir():
        if entry[0] not in (".", ".."):
            path = folder + "/" + entry[0] if folder else entry[0]
            if entry[1] & 0x4000:
                walk(path)
            else:
                print(repr((path, os.stat(path)[6])))
walk("")
"""
READ_FILE = """
import binascii
with open({name!r}, "rb") as f:
    while True:
        part = f.read(768)
        if not part:
            break
        print(binascii.b2a_base64(part).decode(), end="")
"""
# Without an offset, writeblocks erases first. The partition is the Outbox's.
WRITE_SECTOR = """
import esp32, binascii
outbox = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")[0]
outbox.writeblocks({index}, binascii.a2b_base64({text!r}))
"""
SECTOR_HASHES = """
import esp32, hashlib, binascii
outbox = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")[0]
buffer = bytearray(4096)
for index in range(outbox.ioctl(4, 0)):
    outbox.readblocks(index, buffer)
    print(index, binascii.hexlify(hashlib.sha256(buffer).digest()).decode())
"""


@dataclasses.dataclass(frozen=True)
class About:
    """platform: sys.platform; version: of MicroPython; mac: 12 hex digits; outbox: whether it has that partition, None
    where there are no partitions."""

    platform: str
    version: tuple[int, int]
    mac: str
    outbox: bool | None


class Prompt:
    """Close it when done. What mpremote raises comes out as FilesystemFailed."""

    def __init__(self, transport: Any, mask: Mask) -> None:
        self._transport = transport
        self._mask = mask

    @property
    def serial(self) -> Any:
        """The port itself, for reading the console."""
        return self._transport.serial

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._transport.close()

    def run(self, code: str) -> str:
        """What it prints. Raises FilesystemFailed, with the last line of the board's own traceback."""
        with self._translated():
            return bytes(self._transport.exec(code)).decode("utf-8", "replace").replace("\r\n", "\n")

    def about(self) -> About:
        platform, version, mac, outbox = ast.literal_eval(self.run(PROBE).strip())
        return About(platform, version, mac.hex(), outbox)

    def feed(self) -> None:
        """The watchdog: what takes long has to, for one may be running."""
        self.run(FEED_IF_ANY)

    def reset(self) -> None:
        """Start the board again; its console can be read from then on."""
        with self._translated():
            self._transport.exec_raw_no_follow(RESET)

    # -- files

    def sizes(self) -> dict[str, int]:
        """Bytes of each file on the board."""
        return dict(ast.literal_eval(line) for line in self.run(LIST).split("\n") if line)

    def read(self, name: str) -> bytes:
        """Raises FilesystemFailed, also for what came through garbled."""
        text = self.run(READ_FILE.format(name=name))
        try:
            return b"".join(binascii.a2b_base64(line) for line in text.split("\n"))
        except binascii.Error as error:
            raise FilesystemFailed("What came from the board is garbled.", "Try another cable.", str(error)) from None

    def hashes(self, paths: tuple[str, ...]) -> dict[str, str]:
        """SHA-256 in hex of each file below these paths."""
        lines = self.run(HASHES.format(paths=paths)).split("\n")
        return {name: digest for name, _, digest in (line.rpartition(" ") for line in lines) if name}

    def write(self, name: str, content: bytes) -> None:
        """Whole or not at all: under another name first."""
        with self._translated():
            self._transport.fs_writefile(name + ".new", content, chunk_size=1024)
        self.run(f"import os\nos.rename({name + '.new'!r}, {name!r})")

    def remove(self, names: list[str]) -> None:
        self.run(f"import os\nfor name in {names!r}:\n os.remove(name)")

    # -- the partition outbox

    def write_sector(self, index: int, content: bytes) -> None:
        text = binascii.b2a_base64(content, newline=False).decode("ascii")
        self.run(WRITE_SECTOR.format(index=index, text=text))

    def sector_hashes(self) -> dict[int, str]:
        """SHA-256 in hex of each sector, by its index."""
        lines = self.run(SECTOR_HASHES).split()
        return {int(index): digest for index, digest in zip(lines[::2], lines[1::2], strict=True)}

    # -- settings

    def settings(self) -> dict[str, Any]:
        """The fields of settings.json, secrets included; {} if there is none, or none that can be read."""
        with contextlib.suppress(ValueError):
            found = json.loads(self.run(READ_SETTINGS) or "{}")
            return found if isinstance(found, dict) else {}
        return {}

    def save_settings(self, fields: dict[str, Any], platform: str) -> None:
        """By the firmware itself, which checks them and lets them win over settings from afar."""
        folder = "" if platform == "esp32" else "."
        self.run(SAVE_SETTINGS.format(folder=folder, text=json.dumps(fields)))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from mpremote.transport import TransportError, TransportExecError

        try:
            with _unheard():
                yield
        except TransportExecError as error:
            told = self._mask.text((error.error_output.strip().splitlines() or ["nothing"])[-1])
            raise FilesystemFailed(*_refused(told), told) from None
        except (TransportError, OSError) as error:
            told = self._mask.text(str(error))
            raise FilesystemFailed(
                "The board stopped answering.", "Leave its cable alone, reset it, and run this again.", told
            ) from None


def connect(address: str, mask: Mask) -> Prompt:
    """Interrupt what runs there and get its prompt.

    Raises PortFailed when the port cannot be opened, ChipFailed when no MicroPython answers.
    """
    from mpremote.transport import TransportError
    from mpremote.transport_serial import SerialTransport

    failure: Exception | None = None
    for _ in range(ATTEMPTS):
        transport = None
        try:
            with _unheard():
                transport = SerialTransport(address, timeout=PATIENCE)
                transport.enter_raw_repl(timeout_overall=UNTIL_PROMPT)
            return Prompt(transport, mask)
        except (TransportError, OSError) as error:
            failure = error
            if transport is None:
                ports.check(address)  # mpremote does not say why it could not open it
            else:
                with contextlib.suppress(OSError):
                    transport.close()
    raise ChipFailed("No MicroPython answers there.", "Press EN (reset) on the board and run this again.", str(failure))


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """mpremote prints what a board said that it did not expect: that may be anything."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _refused(told: str) -> tuple[str, str]:
    if "SettingsError" in told:
        return "The board's firmware refuses the settings.", "Mend the field it names in the file given by --settings."
    if "ENOSPC" in told or "OSError: 28" in told:
        return "The board's file system is full.", "Delete files of your own from it: mpremote ls, mpremote rm."
    if "MemoryError" in told:
        return "The board has too little memory left.", "Reset it and run this again."
    return (
        "The board's files could not be read or written.",
        "Run this again; if it stays so: --partitions erase writes the board anew, and keeps nothing of it.",
    )
