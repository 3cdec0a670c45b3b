"""What is on a board before its flash is erased: read off, kept on this computer, put back.

A backup is a folder that only its owner may read, for settings hold secrets: `backup.json` with the board's MAC and
{name on the board: SHA-256}, and each content in a file named by its SHA-256. backup.json is written last: a folder
without it was cut off while the board still had everything. A backup is removed when all of it is back and verified.
"""

import dataclasses
import datetime
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from backend import private

from . import sectors
from .errors import FilesystemFailed
from .files import OURS
from .mask import Mask, secrets_in
from .repl import Prompt

# What the firmware keeps beside its Outbox.
OF_THE_FIRMWARE = ("settings.json", "settings-remote.json", "commands.json", "found.json", "crashes.json")
# Bytes: a file of the person's own that is larger is named as lost; so are those beyond the sum.
SMALL, SMALL_ONES = 16 * 1024, 128 * 1024
# Bytes, as files of whole blocks: half of our file system, whose other half is the firmware's.
ROOM = 512 * 1024
BLOCK = 4096
LIST = "backup.json"
MAKE_FOLDERS = """
import os
for name in {names!r}:
    try:
        os.mkdir(name)
    except OSError as error:
        if error.errno != 17:
            raise
"""

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Inventory:
    """Sizes in bytes by name. kept: read off and put back; own: those of them that are the person's; lost: what an
    erase takes."""

    kept: dict[str, int]
    own: dict[str, int]
    lost: dict[str, int]

    @property
    def outbox(self) -> dict[str, int]:
        return {name: size for name, size in self.kept.items() if _is_outbox(name)}

    @property
    def ring(self) -> list[str]:
        """Names of the Outbox's sector files, which go into the partition; [] where it has another form."""
        ring = {name: size for name, size in self.kept.items() if name.startswith(sectors.FOLDER + "/")}
        return sorted(ring) if sectors.is_ring(ring) else []


def take_stock(sizes: Mapping[str, int]) -> Inventory:
    """sizes: of all files on the board, in bytes by name."""
    kept: dict[str, int] = {}
    own: dict[str, int] = {}
    lost: dict[str, int] = {}
    has_firmware = any(name.split("/")[0] in OURS for name in sizes if name != "main.py")
    for name, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        if name.split("/")[0] in OURS:
            if name == "main.py" and not has_firmware:
                lost[name] = size  # of another program: ours takes its place
        elif name in OF_THE_FIRMWARE or name == "boot.py" or _is_outbox(name):
            if not _is_unfinished(name):
                kept[name] = size
        elif size <= SMALL and sum(own.values()) + size <= SMALL_ONES:
            kept[name] = own[name] = size
        else:
            lost[name] = size
    return Inventory(kept, own, lost)


@dataclasses.dataclass(frozen=True)
class Backup:
    """files: SHA-256 in hex by name on the board; made: when, ISO 8601."""

    folder: Path
    files: dict[str, str]
    made: str

    def content(self, name: str) -> bytes:
        """Raises FilesystemFailed where the backup itself was damaged."""
        try:
            content = (self.folder / self.files[name]).read_bytes()
        except OSError:
            content = b""
        if _sha256(content) != self.files[name]:
            raise FilesystemFailed(
                "The backup of this board is damaged.", f"Look at it yourself: {self.folder}", f"{name} in {LIST}"
            )
        return content

    def inventory(self) -> Inventory:
        return take_stock({name: len(self.content(name)) for name in self.files})

    def ring(self) -> list[bytes]:
        """The Outbox's sectors, if it was kept as sector files that have a log in them."""
        ring = [self.content(name) for name in self.inventory().ring]
        return ring if sectors.stream(ring) else []

    def remove(self) -> None:
        (self.folder / LIST).unlink()  # first: from here on it is none
        shutil.rmtree(self.folder)


def place() -> Path:
    from platformdirs import user_state_path

    return user_state_path("thermograph") / "boards"


def find(mac: str, place: Path) -> Backup | None:
    """The newest of this board. What was cut off while it was read is removed: the board still has all of that."""
    newest = None
    for folder in sorted(place.glob(f"{mac}-*")):
        try:
            fields = json.loads((folder / LIST).read_text(encoding="utf-8"))
            newest = Backup(folder, dict(fields["files"]), fields["made"])
        except FileNotFoundError:
            shutil.rmtree(folder)
        except (ValueError, KeyError, TypeError):
            continue  # of another version, or damaged: not ours to remove
    return newest


def save(prompt: Prompt, sizes: Mapping[str, int], mac: str, place: Path, mask: Mask, progress: Progress) -> Backup:
    """Read off all that is to be kept, verified by SHA-256 on both sides. sizes: as take_stock() takes it.

    Raises FilesystemFailed, before anything was changed on the board; then no backup is left.
    """
    inventory = take_stock(sizes)
    _check_room(inventory)
    earlier = find(mac, place)
    made = datetime.datetime.now(datetime.UTC)
    private.make_folder(place)
    folder = private.make_folder(place / f"{mac}-{made:%Y%m%dT%H%M%S%f}Z")
    try:
        digests = _read_off(prompt, inventory, folder, mask, progress)
        backup = Backup(folder, digests, made.isoformat(timespec="seconds"))
        _check_ring(backup)
        private.write(folder / LIST, json.dumps({"mac": mac, "made": backup.made, "files": digests}, indent=1) + "\n")
    except BaseException:
        shutil.rmtree(folder)
        raise
    if earlier is not None and _holds_all_of(backup, earlier):
        earlier.remove()
    return backup


def put_back(backup: Backup, prompt: Prompt, progress: Progress) -> str:
    """Onto a board that has our partitions, and verified there; what came back, in words. Raises FilesystemFailed.

    To do it again is safe while the firmware has not run yet: without main.py it has not.
    """
    ring = backup.ring()
    names = set(backup.files) - (set(backup.inventory().ring) if ring else set())
    files = {name: backup.content(name) for name in sorted(names)}
    there = prompt.hashes(tuple(files)) if files else {}
    todo = [name for name in files if there.get(name) != backup.files[name]]
    placed = sectors.placed(ring)
    total, done = sum(len(files[name]) for name in todo) + len(placed) * BLOCK, 0
    prompt.run(MAKE_FOLDERS.format(names=_folders(files)))
    for name in todo:
        prompt.write(name, files[name])
        done += len(files[name])
        progress(done, total)
    for index, sector in sorted(placed.items()):
        prompt.write_sector(index, sector)
        done += BLOCK
        progress(done, total)
    _verify(prompt, {name: backup.files[name] for name in files}, placed)
    outbox = f"; the Outbox of stream {sectors.stream(ring)} in its partition" if ring else ""
    return f"{len(files)} files{outbox}"


def _read_off(prompt: Prompt, inventory: Inventory, folder: Path, mask: Mask, progress: Progress) -> dict[str, str]:
    """SHA-256 by name. A content that is there already, as a blank sector's, is not read twice."""
    prompt.feed()
    digests = prompt.hashes(tuple(inventory.kept)) if inventory.kept else {}
    if digests.keys() != inventory.kept.keys():
        missing = ", ".join(map(repr, sorted(inventory.kept.keys() - digests.keys())))
        raise FilesystemFailed("A file of the board cannot be read.", "Look at it: mpremote ls.", missing)
    total, done = sum(inventory.kept.values()), 0
    _keep(folder, sectors.BLANK)
    for name, digest in sorted(digests.items()):
        if not (folder / digest).exists():
            prompt.feed()
            content = prompt.read(name)
            if _sha256(content) != digest:
                raise FilesystemFailed("A file of the board reads differently each time.", "Run this again.", name)
            _keep(folder, content)
            mask.add(*_secrets(content))
        done += inventory.kept[name]
        progress(done, total)
    return digests


def _holds_all_of(newer: Backup, earlier: Backup) -> bool:
    """The board was not erased between the two: the run that made the earlier one did not come as far."""
    of_one_log = sectors.stream(earlier.ring()) in (None, sectors.stream(newer.ring()))
    return of_one_log and earlier.files.keys() <= newer.files.keys()


def _verify(prompt: Prompt, files: Mapping[str, str], placed: Mapping[int, bytes]) -> None:
    there = prompt.hashes(tuple(files)) if files else {}
    wrong = [name for name in files if there.get(name) != files[name]]
    if placed:
        held = prompt.sector_hashes()
        wrong += [f"sector {index}" for index, sector in placed.items() if held.get(index) != _sha256(sector)]
    if wrong:
        raise FilesystemFailed("What was put back is not on the board.", "Run this again.", ", ".join(wrong))


def _check_room(inventory: Inventory) -> None:
    ring = set(inventory.ring)
    need = sum(-(-size // BLOCK) * BLOCK for name, size in inventory.kept.items() if name not in ring)
    if need > ROOM:
        raise FilesystemFailed(
            "What is to be kept does not fit beside the firmware in our partitions.",
            "Delete files of your own from the board: mpremote ls, mpremote rm.",
            f"{need >> 10} KiB as files, room for {ROOM >> 10} KiB",
        )


def _check_ring(backup: Backup) -> None:
    try:
        sectors.placed(backup.ring())
    except ValueError as error:
        raise FilesystemFailed(
            "The Outbox does not fit into our partition.", "Let the board send what waits first.", str(error)
        ) from None


def _folders(names: Iterable[str]) -> list[str]:
    """Every folder that these files lie in, the outermost first."""
    found = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return sorted(found - {"."})


def _is_outbox(name: str) -> bool:
    return "/" in name and name.split("/")[0].startswith(sectors.FOLDER)


def _is_unfinished(name: str) -> bool:
    """What a power cut left while a sector, or all of them, were made: the firmware removes it."""
    folder, _, file = name.partition("/")
    return folder == f"{sectors.FOLDER}-new" or (folder == sectors.FOLDER and file.endswith(".new"))


def _secrets(content: bytes) -> list[str]:
    try:
        fields: Any = json.loads(content)
    except ValueError:
        return []
    return secrets_in(fields)


def _keep(folder: Path, content: bytes) -> None:
    private.write_bytes(folder / _sha256(content), content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
