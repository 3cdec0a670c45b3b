"""python -m tools bench flash: what a start and a reading cost of flash, counted below littlefs and the Outbox."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click

MOST_OF_LOADING = 1500  # reads: a start is to take less than a second
# Bytes of the filesystem: in our partition table, and what MicroPython's own leaves to it.
OURS, STOCK = 0x100000, 0x200000
_SETTINGS = {
    "device": "fridge-1",
    "broker": {"host": "127.0.0.1", "user": "fridge", "password": "cold-secret", "timeout": 1},
    "networks": [{"ssid": "Home", "password": "goat cheese"}],
    "sensors": [{"kind": "ds18b20", "id": "28ff641e8216c328"}],
    "interval": 1,
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def flash(as_json: bool) -> None:
    """Flash reads, programs and erases of a start and of a reading, on our partitions and on MicroPython's own.

    MicroPython's VfsLfs2 as an ESP32 mounts it, over a block device that counts. A start loads the firmware, mounts the
    Outbox and takes its first sample of a DS18B20; what TLS loads is counted with it. Ends with exit code 1 if loading
    takes more than 1,500 reads.
    """
    found = {name: measure(*partitions) for name, partitions in _CASES.items()}
    if as_json:
        print(json.dumps({"limit": MOST_OF_LOADING, **found}))
    else:
        print(f"{'':36}{'reads':>10}{'programs':>10}{'erases':>10}")
        for name, case in found.items():
            for what, counted in case.items():
                print(f"{name + ': ' + what:36}" + "".join(f"{count:10,}" for count in counted))
    if any(case["loading"][0] > MOST_OF_LOADING for name, case in found.items() if name != _BEFORE):
        raise SystemExit(1)


_BEFORE = "a file a module"
_CASES = {"our partitions": (True, False), "MicroPython's own": (False, False), _BEFORE: (True, True)}


def measure(outbox: bool, loose: bool) -> dict[str, list[float]]:
    """{what: [reads, programs, erases]}. outbox: there is that partition; loose: each module is a file of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = _Disk(folder, outbox, loose)
        disk.run("start")  # the first one makes files that later ones find
        found = {"loading": disk.run("load")}
        found["a start, files"], partition = disk.run("start")
        if outbox:
            found["a start, outbox"] = partition
        if not loose:
            each = disk.run("readings")
            found["a reading"] = [round(sum(column) / len(each), 3) for column in zip(*each, strict=True)]
            found["the dearest reading"] = [max(column) for column in zip(*each, strict=True)]
        return found


class _Disk:
    """The flash of a board, as files of a folder."""

    def __init__(self, folder: Path, outbox: bool, loose: bool) -> None:
        from backend.run import umqtt
        from backend.run.layout import FIRMWARE, ROOT

        from .. import mpy
        from ..image import filesystem

        files = mpy.release(FIRMWARE)
        if loose:
            modules = mpy.build(FIRMWARE, folder / "modules", umqtt.find(os.environ) or umqtt.fetch())
            files = {file: (folder / "modules" / file).read_bytes() for file in modules}
        files["settings.json"] = json.dumps(_SETTINGS).encode()
        self._vfs, self._outbox = folder / "vfs", folder / "outbox"
        self._vfs.write_bytes(filesystem.build(files, OURS if outbox else STOCK))
        self._outbox.write_bytes(b"\xff" * 0x100000)
        parts = ROOT / "tests" / "firmware"
        self._words = [parts / "board_disk.py", self._vfs, parts / "fakes", parts / "flash_cost.py"]
        self._more = [self._outbox] if outbox else []

    def run(self, what: str) -> Any:
        """What flash_cost.py tells."""
        from backend.errors import SettingsError
        from backend.run import micropython

        command = micropython.find(os.environ)
        if command is None:
            raise SettingsError("MicroPython is not installed.", "python -m tools setup --for test")
        words = [*command, "-X", "heapsize=2m", *self._words, what, *self._more]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise click.ClickException(f"{what}: {(done.stdout + done.stderr)[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])
