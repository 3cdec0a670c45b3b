"""One object to one file: resumable, checked, whole or not at all.

Bytes go to `.NAME.ETAG.part` beside the file, which takes its name only when all of them are there and their SHA-256
is that of the object's metadata (where the uploader left one). The ETag in the name, sent as If-Match, keeps a resumed
download from being made of two versions of the object.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import AlreadyThere, VerificationFailed

from .connection import told
from .place import Place

BLOCK = 1024 * 1024

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Downloaded:
    """checked: the object carried a SHA-256, and the bytes have it. resumed: bytes that were here already."""

    file: str
    size: int
    sha256: str
    checked: bool
    resumed: int


class Download:
    def __init__(self, client: Any, place: Place, path: Path, force: bool) -> None:
        """Raises AlreadyThere, NotFound, ObjectStoreUnavailable, SettingsError."""
        if path.exists() and not force:
            raise AlreadyThere(f"{path} is there already.", "Choose another name, or replace it with --force.")
        self._client = client
        self._where = {"Bucket": place.bucket, "Key": place.key}
        self._place = place
        self._path = path
        with told(f"Downloading {place}"):
            self._head = client.head_object(**self._where)
        self.size = int(self._head["ContentLength"])
        tag = re.sub(r"[^0-9a-zA-Z-]", "", self._head["ETag"])
        self._part = path.with_name(f".{path.name}.{tag}.part")

    def run(self, advance: Advance) -> Downloaded:
        """advance is told how many more bytes are here. Raises VerificationFailed and what __init__ does."""
        sha256 = hashlib.sha256()
        with self._part.open("a+b") as file:
            resumed = self._read_again(file, sha256, advance)
            if resumed < self.size:
                with told(f"Downloading {self._place}"):
                    self._fetch(resumed, file, sha256, advance)
            file.flush()
            os.fsync(file.fileno())
        wanted = self._head["Metadata"].get("sha256")
        if wanted is not None and wanted != sha256.hexdigest():
            self._part.unlink()
            raise VerificationFailed(
                f"{self._place} has not the SHA-256 that its uploader wrote beside it.",
                "The object was altered or damaged: restore an older version of it, or upload it again.",
            )
        self._part.replace(self._path)
        return Downloaded(str(self._path), self.size, sha256.hexdigest(), wanted is not None, resumed)

    def _read_again(self, file: Any, sha256: Any, advance: Advance) -> int:
        file.seek(0)
        while block := file.read(BLOCK):
            sha256.update(block)
            advance(len(block))
        return int(file.tell())

    def _fetch(self, start: int, file: Any, sha256: Any, advance: Advance) -> None:
        answer = self._client.get_object(**self._where, Range=f"bytes={start}-", IfMatch=self._head["ETag"])
        for block in answer["Body"].iter_chunks(BLOCK):
            file.write(block)
            sha256.update(block)
            advance(len(block))
