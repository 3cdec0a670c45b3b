"""The S3 bucket of the archive. The only importer of boto3.

Small on purpose: put, get, list, delete. Credentials come from boto3's own chain; no secret passes through here.
"""

import contextlib
import email.utils
import functools
import hashlib
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .errors import AlreadyThere, MissingOrForbidden, NotFound, ObjectStoreUnavailable
from .settings import Settings

MISSING = {"NoSuchKey", "404", "NotFound"}
# To HEAD, which has no body, S3 answers the bare number.
FORBIDDEN = {"AccessDenied", "403", "Forbidden"}
# What S3 answers to a request that it finds too old, or signed in its future.
SKEWED = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
TAKEN = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
# What S3 answers when an object should only be written where there is none.
THERE_ALREADY = {"PreconditionFailed", "412", "ConditionalRequestConflict"}


@dataclass(frozen=True)
class StoredObject:
    """key without the store's prefix; size in bytes."""

    key: str
    size: int


class ObjectStore:
    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self.prefix = settings.s3_prefix.strip("/") + "/"
        self._settings = settings

    @functools.cached_property
    def _client(self) -> Any:
        # A session of its own: boto3's default one remembers the first credentials that the process ever had. Made at
        # its first use: it takes longer than all the rest of a web process that may never ask for an object.
        return boto3.Session().client(
            "s3",
            endpoint_url=self._settings.s3_endpoint or None,
            region_name=self._settings.s3_region,
            config=Config(
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
        )

    def create_bucket(self) -> None:
        """Make the bucket if there is none. Only for servers of one's own: on Amazon it is the template's work."""
        try:
            with self._translated():
                self._client.head_bucket(Bucket=self.bucket)
        except NotFound:
            try:
                with self._translated():
                    self._client.create_bucket(Bucket=self.bucket)
            except ObjectStoreUnavailable as error:
                if not any(code in str(error) for code in TAKEN):
                    raise

    def put(self, key: str, body: bytes) -> None:
        """Write the object, whole or not at all; the server compares the bytes with their SHA-256.

        Raises ObjectStoreUnavailable.
        """
        digest = hashlib.sha256(body).digest()
        with self._translated():
            self._client.put_object(
                Bucket=self.bucket,
                Key=self.prefix + key,
                Body=body,
                ChecksumSHA256=b64encode(digest).decode(),
                ContentType="application/vnd.apache.parquet",
                Metadata={"sha256": digest.hex()},
            )

    def put_new(self, key: str, body: bytes) -> bool:
        """Write JSON under a key where there is nothing yet; False: there is. Raises ObjectStoreUnavailable."""
        try:
            with self._translated():
                self._client.put_object(
                    Bucket=self.bucket,
                    Key=self.prefix + key,
                    Body=body,
                    IfNoneMatch="*",
                    ChecksumSHA256=b64encode(hashlib.sha256(body).digest()).decode(),
                    ContentType="application/json",
                )
        except AlreadyThere:
            return False
        return True

    def size(self, key: str) -> int:
        """Bytes of the object. Raises NotFound, MissingOrForbidden, ObjectStoreUnavailable."""
        with self._reading(key):
            return int(self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)["ContentLength"])

    def get(self, key: str) -> bytes:
        """Raises NotFound, MissingOrForbidden, ObjectStoreUnavailable."""
        with self._reading(key):
            return bytes(self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read())

    def stream(self, key: str, piece: int = 256 * 1024) -> Iterator[bytes]:
        """The object in pieces, as they come. Raises NotFound, ObjectStoreUnavailable."""
        with self._translated():
            body = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
            with contextlib.closing(body):
                yield from body.iter_chunks(piece)

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Every object whose key starts with `under`, by key. Raises ObjectStoreUnavailable."""
        with self._translated():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + under
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"][len(self.prefix) :], entry["Size"])

    def delete(self, key: str) -> None:
        """Raises ObjectStoreUnavailable; an object that is not there is no error."""
        with self._translated():
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with self._translated():
            try:
                yield
            except ClientError as error:
                if error.response.get("Error", {}).get("Code", "") not in FORBIDDEN:
                    raise
                raise MissingOrForbidden(
                    f"{key} is missing in {self.bucket}, or these credentials may not read it.",
                    "S3 tells which only to those with s3:ListBucket: look with such, and check the role's policy.",
                ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in MISSING:
                raise NotFound(f"There is no such object or bucket in {self.bucket} ({code}).") from error
            if code in THERE_ALREADY:
                raise AlreadyThere(f"There is such an object in {self.bucket} ({code}).") from error
            if code in SKEWED:
                raise ObjectStoreUnavailable(*_skew(code, error.response)) from error
            advice = {
                "AccessDenied": "The credentials may not do this: check the policy of their user or role.",
                "InvalidAccessKeyId": "Check AWS_ACCESS_KEY_ID.",
                "SignatureDoesNotMatch": "Check AWS_SECRET_ACCESS_KEY.",
                "NoSuchBucket": f"Create the bucket {self.bucket}, or name another by THERMOGRAPH_S3_BUCKET.",
            }.get(code, "")
            raise ObjectStoreUnavailable(f"S3 refused: {error}.", advice) from error
        except (BotoCoreError, OSError) as error:
            raise ObjectStoreUnavailable(f"S3 did not answer: {error}.") from error


def _skew(code: str, response: Any) -> tuple[str, str]:
    """What to say when S3 refuses by its clock: by how much they differ, as its answer is dated."""
    dated = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        seconds = round(time.time() - email.utils.parsedate_to_datetime(dated).timestamp())
    except ValueError:
        apart = "differs too much from S3's"
    else:
        apart = f"is {abs(seconds):,} s {'ahead of' if seconds > 0 else 'behind'} S3's"
    return (
        f"S3 refused ({code}): this machine's clock {apart}. Nothing is lost: what is frozen waits in SQL.",
        "Set the clock, and have it kept: timedatectl set-ntp true.",
    )
