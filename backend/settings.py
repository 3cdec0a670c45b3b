# ruff: noqa: RUF009 - setting() is dataclasses.field with a text: nothing mutable is shared
"""The backend's settings: typed, read once from the environment, secrets masked.

Every field is the environment variable THERMOGRAPH_<FIELD>; its metadata says what it is for.
"""

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .errors import SettingsError

PREFIX = "THERMOGRAPH_"


class Secret(str):
    """A string that never shows itself in a repr, a log line or a traceback."""

    def __repr__(self) -> str:
        return "'***'" if self else "''"


def setting(default: typing.Any, about: str) -> typing.Any:
    return dataclasses.field(default=default, metadata={"about": about})


@dataclasses.dataclass(frozen=True)
class Settings:
    state_dir: Path = setting(Path("var"), "folder for everything the embedded parts keep")
    database: str = setting(
        "sqlite:///var/thermograph.db",
        "SQLAlchemy URL, without a password: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    )
    database_password: Secret = setting(Secret(""), "password for the database's user")
    broker: str = setting("mqtt://127.0.0.1:1883", "the MQTT broker: mqtt://HOST:PORT")
    broker_user: str = setting("", "user name at the broker; empty: anonymous")
    broker_password: Secret = setting(Secret(""), "password at the broker")
    ingest_id: str = setting("thermograph-ingest", "MQTT client id of ingest; its persistent session hangs on it")
    enrolment: typing.Literal["open", "closed"] = setting(
        "closed", "open: a device never seen before is accepted and shown as new; closed: its messages are rejected"
    )
    s3_endpoint: str = setting("", "URL of an S3 server; empty: Amazon S3")
    s3_region: str = setting("us-east-1", "region of the bucket")
    s3_bucket: str = setting(
        "thermograph", "bucket of the archive (credentials come from boto3's own chain, AWS_ACCESS_KEY_ID and so on)"
    )
    s3_prefix: str = setting("readings", "every key of the archive starts with this")
    archive_rows: int = setting(50_000, "an archive object is written when this many readings wait")
    archive_age: float = setting(300.0, "or when this many seconds have passed since the last one")
    web_host: str = setting("127.0.0.1", "address the web page listens on")
    web_port: int = setting(8080, "port the web page listens on")

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Settings from environment variables; the defaults where there are none.

        Raises SettingsError, naming the variable, what it holds (never a secret) and what it should.
        """
        hints = typing.get_type_hints(cls)
        given = {
            field.name: _convert(variable(field.name), environ[variable(field.name)], hints[field.name])
            for field in dataclasses.fields(cls)
            if variable(field.name) in environ
        }
        settings = cls(**given)
        settings._check()
        return settings

    def _check(self) -> None:
        if urlsplit(self.broker).password or urlsplit(self.database).password:
            raise SettingsError(
                "A password stands in a URL, where logs and error texts would show it.",
                f"Put it into {variable('broker_password')} or {variable('database_password')}.",
            )
        try:
            host, port = self.broker_address
        except ValueError:
            host, port = "", 0
        if urlsplit(self.broker).scheme != "mqtt" or not host or not port:
            raise SettingsError(f"{variable('broker')} is {self.broker!r}.", "It takes mqtt://HOST:PORT.")
        if self.archive_rows < 1 or self.archive_age <= 0:
            raise SettingsError(f"{variable('archive_rows')} and {variable('archive_age')} must be above 0.")

    @property
    def broker_address(self) -> tuple[str, int]:
        parts = urlsplit(self.broker)
        return parts.hostname or "", 1883 if parts.port is None else parts.port

    def environment(self) -> dict[str, str]:
        """The variables that make another process read the same settings."""
        return {variable(field.name): str(getattr(self, field.name)) for field in dataclasses.fields(self)}


def variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


def _convert(name: str, text: str, kind: typing.Any) -> typing.Any:
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise SettingsError(f"{name} is {text!r}.", f"It takes one of: {', '.join(choices)}.")
        return text
    try:
        return kind(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}.", f"It takes a number ({kind.__name__}).") from None
