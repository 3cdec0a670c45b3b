"""One file to one object: in parts, resumable, checked, and never over something else unless told to.

What S3 already holds of an interrupted upload is found by a note on this machine, whose name is made of the place and
of the file's SHA-256: a file that has changed meanwhile starts anew. Parts are compared by the MD5 that S3 itself
computed (their ETag); one that cannot be compared is sent again.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import AlreadyThere, ObjectStoreUnavailable

from .connection import told
from .place import Place

MIB = 1024 * 1024
# S3 takes at most 10,000 parts, each but the last of at least 5 MiB (Amazon S3 User Guide, "Multipart upload limits").
SMALLEST_PART = 8 * MIB
MOST_PARTS = 10_000

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Uploaded:
    """sha256: of the whole file, hexadecimal, kept in the object's metadata too. resumed: bytes S3 had already."""

    place: str
    size: int
    sha256: str
    parts: int
    resumed: int


def part_size(size: int) -> int:
    """Bytes of each part of a file of `size` bytes: a whole number of MiB."""
    fewest = -(-size // MOST_PARTS)
    return max(SMALLEST_PART, -(-fewest // MIB) * MIB)


def digest_of(path: Path, advance: Advance) -> str:
    with path.open("rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(MIB):
            sha256.update(block)
            advance(len(block))
    return sha256.hexdigest()


class Upload:
    def __init__(self, client: Any, path: Path, place: Place, sha256: str, notes: Path, force: bool) -> None:
        """notes: the folder where interrupted uploads are remembered."""
        self._client = client
        self._path = path
        self._place = place
        self._sha256 = sha256
        self._size = path.stat().st_size
        self._part_size = part_size(self._size)
        self._where = {"Bucket": place.bucket, "Key": place.key}
        # The server itself refuses to overwrite: asking first would leave a moment in between.
        self._guard = {} if force else {"IfNoneMatch": "*"}
        endpoint = client.meta.endpoint_url
        name = hashlib.sha256(f"{endpoint} {place} {sha256}".encode()).hexdigest()[:32]
        self._note = notes / f"{name}.json"

    def run(self, advance: Advance) -> Uploaded:
        """advance is told how many more bytes are there. Raises AlreadyThere, NotFound, ObjectStoreUnavailable."""
        with told(f"Uploading {self._path.name} to {self._place}"):
            self._refuse_early()
            if self._size <= self._part_size:
                self._whole(advance)
                resumed, parts = 0, 1
            else:
                resumed, parts = self._in_parts(advance)
            self._check()
        return Uploaded(str(self._place), self._size, self._sha256, parts, resumed)

    def _refuse_early(self) -> None:
        """Sparing the user an upload that would be refused at its end."""
        if self._guard and self._head() is not None:
            raise AlreadyThere(f"{self._place} is there already.", "Choose another key, or replace it with --force.")

    def _head(self) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            head: dict[str, Any] = self._client.head_object(**self._where)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
        return head

    def _whole(self, advance: Advance) -> None:
        checksum = b64encode(bytes.fromhex(self._sha256)).decode()
        self._client.put_object(
            **self._where,
            **self._guard,
            Body=self._path.read_bytes(),
            ChecksumSHA256=checksum,
            Metadata={"sha256": self._sha256},
        )
        advance(self._size)

    def _in_parts(self, advance: Advance) -> tuple[int, int]:
        """(bytes that S3 had already, number of parts)"""
        upload_id, there = self._resume() or (self._begin(), {})
        parts, resumed = [], 0
        with self._path.open("rb") as file:
            for number in range(1, -(-self._size // self._part_size) + 1):
                body = file.read(self._part_size)
                etag = there.get(number)
                if etag is not None and etag.strip('"') == _md5(body):
                    resumed += len(body)
                else:
                    answer = self._client.upload_part(**self._where, UploadId=upload_id, PartNumber=number, Body=body)
                    etag = answer["ETag"]
                parts.append({"PartNumber": number, "ETag": etag})
                advance(len(body))
        self._client.complete_multipart_upload(
            **self._where, **self._guard, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
        self._note.unlink(missing_ok=True)
        return resumed, len(parts)

    def _begin(self) -> str:
        answer = self._client.create_multipart_upload(**self._where, Metadata={"sha256": self._sha256})
        upload_id = str(answer["UploadId"])
        self._note.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._note.with_suffix(".new")
        fresh.write_text(json.dumps({"place": str(self._place), "upload_id": upload_id}), encoding="utf-8")
        fresh.replace(self._note)
        return upload_id

    def _resume(self) -> tuple[str, dict[int, str]] | None:
        """The interrupted upload of these bytes to this place, and the ETags of the parts S3 has of it."""
        from botocore.exceptions import ClientError

        try:
            upload_id = str(json.loads(self._note.read_text(encoding="utf-8"))["upload_id"])
            pages = self._client.get_paginator("list_parts").paginate(**self._where, UploadId=upload_id)
            return upload_id, {part["PartNumber"]: part["ETag"] for page in pages for part in page.get("Parts", ())}
        except (OSError, ValueError, KeyError):
            return None
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("NoSuchUpload", "404"):
                return None
            raise

    def _check(self) -> None:
        head = self._head()
        if head is None or head["ContentLength"] != self._size or head["Metadata"].get("sha256") != self._sha256:
            raise ObjectStoreUnavailable(
                f"S3 took {self._place}, but does not hold it as it was sent.", "Upload it again with --force."
            )


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
