"""An object's place, as the AWS CLI writes it: s3://bucket/key. Pure."""

from dataclasses import dataclass

from backend.errors import SettingsError

SCHEME = "s3://"


@dataclass(frozen=True)
class Place:
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str, file_name: str = "") -> "Place":
        """s3://bucket/key. A key that is empty or ends with / gets file_name, as cp does. Raises SettingsError."""
        bucket, _, key = text.removeprefix(SCHEME).partition("/")
        if not text.startswith(SCHEME) or not bucket:
            raise SettingsError(f"{text!r} is no place on S3.", "Write it as s3://bucket/key.")
        if not key or key.endswith("/"):
            key += file_name
        if not key:
            raise SettingsError(f"{text!r} names a bucket, but no object in it.", "Write it as s3://bucket/key.")
        return cls(bucket, key)
