# ruff: noqa: RUF009 - setting() is dataclasses.field with a text: nothing mutable is shared
"""The backend's settings: typed, read once from the environment, secrets masked.

Every field is the environment variable THERMOGRAPH_<FIELD>; its metadata says what it is for.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .errors import SettingsError

PREFIX = "THERMOGRAPH_"
BROKER_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
SHARE_NAME = re.compile(r"[a-z0-9-]{0,64}")
TOPIC_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,40}")
GATEWAY_NAME = re.compile(r"[a-z0-9-]{1,16}")


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
        "SQLAlchemy URL, without a password: sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME or "
        "mysql+pymysql://USER@HOST/NAME",
    )
    database_password: Secret = setting(Secret(""), "password for the database's user")
    redis: str = setting("", "redis://HOST:PORT/0: what web processes share, see More than one below; empty: none")
    redis_password: Secret = setting(Secret(""), "password at Redis")
    broker: str = setting(
        "mqtt://127.0.0.1:1883",
        "the MQTT broker: mqtt://HOST:PORT, with TLS mqtts://, over WebSockets ws://HOST:PORT/PATH or wss://",
    )
    broker_ca: str = setting("", "PEM file that the broker's certificate is checked with; empty: the system's")
    broker_version: typing.Literal["3.1.1", "5"] = setting(
        "3.1.1", "MQTT version; with 5 ingest tells the broker how much it may send ahead of the acks, see Speed below"
    )
    broker_user: str = setting("", "user name at the broker; empty: anonymous")
    broker_password: Secret = setting(Secret(""), "password at the broker")
    ingest_id: str = setting("thermograph-ingest", "MQTT client id of ingest; its persistent session hangs on it")
    ingest_share: str = setting(
        "", "name of a shared subscription: ingest workers of one name, each with its own id, share the messages"
    )
    ingest_batch: int = setting(20_000, "most messages that one transaction stores; three such may wait in memory")
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
    hot_days: int = setting(
        400, "days that readings stay in SQL; older ones leave it when S3 was shown to hold them. 0: they stay for ever"
    )
    compact_after: float = setting(
        6.0, "hours after a UTC day's end when its objects become one, and the day is sealed in the manifest"
    )
    home_assistant: str = setting(
        "homeassistant", "prefix of Home Assistant's discovery at the broker; empty: it is told nothing"
    )
    smtp_host: str = setting("", "server that takes the mails of alerts; empty: no mail is sent")
    smtp_port: int = setting(587, "its port")
    smtp_security: typing.Literal["starttls", "tls", "none"] = setting(
        "starttls", "starttls, tls from the start, or none (only for a server on this machine)"
    )
    smtp_user: str = setting("", "user name at the mail server; empty: none")
    smtp_password: Secret = setting(Secret(""), "password at the mail server")
    smtp_sender: str = setting("thermograph@localhost", "mail address that alerts come from")
    webhook_reach: typing.Literal["public", "all"] = setting(
        "public", "public: webhooks reach no address inside a network; all: they may (then every user can probe yours)"
    )
    gateway_tcp: str = setting("127.0.0.1:7007", "the gateway's TCP door: HOST:PORT; empty: closed")
    gateway_http: str = setting("127.0.0.1:7008", "the gateway's HTTP door: HOST:PORT; empty: closed")
    gateway_name: str = setting("gw", "the gateway; the device names of its sensors begin with it and a dash")
    gateway_pattern: str = setting(
        "", "regular expression for lines of another form, with the groups name and value; backend/gateway/README.md"
    )
    gateway_polls: str = setting("", "TOML file of the sensors that the gateway asks by HTTP; empty: none")
    gateway_connections: int = setting(4096, "most clients of the gateway at a time")
    gateway_per_address: int = setting(64, "of these, from one address")
    gateway_rate: float = setting(20.0, "lines/s that one connection may send for long; it is read no faster")
    gateway_idle: float = setting(300.0, "seconds without a line after which the gateway closes a connection")
    gateway_silence: float = setting(900.0, "seconds without a reading after which a sensor of the gateway is offline")
    gateway_sensors: int = setting(10_000, "most sensors that the gateway gives a name")
    gateway_outbox: int = setting(1_000_000, "readings that the gateway keeps at most until they are acknowledged")
    web_host: str = setting("127.0.0.1", "address the web page listens on")
    web_port: int = setting(8080, "port the web page listens on")
    web_url: str = setting(
        "",
        "address that people reach the page at, such as https://fridge.example.org; empty: http://HOST:PORT as above",
    )
    web_proxy: str = setting("", "address of the reverse proxy in front of the page, whose X-Forwarded-For is believed")
    welcome: typing.Literal["open", "closed"] = setting(
        "closed", "open: while there is no account, a visitor on this machine may make the first one, an admin's"
    )
    session_idle: float = setting(168.0, "hours without a request after which a session ends")
    session_longest: float = setting(720.0, "hours after sign-in at which every session ends")
    password_memory: int = setting(19_456, "KiB of memory that checking one password takes (argon2id); 8 in tests")
    api_rate: int = setting(3000, "requests a minute that one account may make of the API; 0: as many as it likes")
    failpoint: str = setting("", "for tests: POINT:N kills the process at the Nth pass of a point of failpoints.py")

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
        if any(urlsplit(url).password for url in (self.broker, self.database, self.redis)):
            raise SettingsError(
                "A password stands in a URL, where logs and error texts would show it.",
                f"Put it into {variable('broker_password')}, {variable('database_password')} or "
                f"{variable('redis_password')}.",
            )
        try:
            host, port = self.broker_address
        except ValueError:
            host, port = "", 0
        if self.broker_scheme not in BROKER_PORTS or not host or not port:
            raise SettingsError(
                f"{variable('broker')} is {self.broker!r}.",
                "It takes mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH.",
            )
        if not 1 <= self.ingest_batch <= 1_000_000:
            raise SettingsError(f"{variable('ingest_batch')} is {self.ingest_batch}.", "It takes 1 to 1,000,000.")
        if self.archive_rows < 1 or self.archive_age <= 0:
            raise SettingsError(f"{variable('archive_rows')} and {variable('archive_age')} must be above 0.")
        if not 0 <= self.compact_after <= 1000:
            raise SettingsError(f"{variable('compact_after')} is {self.compact_after}.", "It takes 0 to 1000 hours.")
        if not SHARE_NAME.fullmatch(self.ingest_share):
            raise SettingsError(f"{variable('ingest_share')} is {self.ingest_share!r}.", "It takes a-z, 0-9, dash.")
        if not GATEWAY_NAME.fullmatch(self.gateway_name):
            raise SettingsError(
                f"{variable('gateway_name')} is {self.gateway_name!r}.", "It takes 1 to 16 of a-z, 0-9 and the dash."
            )
        for name in ("connections", "per_address", "rate", "idle", "silence", "sensors", "outbox"):
            if not 0 < getattr(self, f"gateway_{name}") < 1e9:
                raise SettingsError(f"{variable(f'gateway_{name}')} must be above 0, and below a thousand millions.")
        if not TOPIC_PREFIX.fullmatch(self.home_assistant):
            raise SettingsError(
                f"{variable('home_assistant')} is {self.home_assistant!r}.", "It takes letters, digits, - and _."
            )
        if self.web_url and urlsplit(self.web_url).scheme not in ("http", "https"):
            raise SettingsError(f"{variable('web_url')} is {self.web_url!r}.", "It takes https://HOST or http://HOST.")
        if not (0 < self.session_idle < 1e5 and 0 < self.session_longest < 1e5):
            raise SettingsError(f"{variable('session_idle')} and {variable('session_longest')} take hours above 0.")
        if not 8 <= self.password_memory <= 4_194_304:
            raise SettingsError(f"{variable('password_memory')} is {self.password_memory}.", "It takes 8 to 4194304.")
        if self.api_rate < 0:
            raise SettingsError(f"{variable('api_rate')} is {self.api_rate}.", "It takes requests a minute, or 0.")
        if self.hot_days < 0:
            raise SettingsError(f"{variable('hot_days')} is {self.hot_days}.", "It takes days, or 0 for ever.")

    @property
    def broker_address(self) -> tuple[str, int]:
        parts = urlsplit(self.broker)
        return parts.hostname or "", BROKER_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port

    @property
    def broker_scheme(self) -> str:
        return urlsplit(self.broker).scheme

    @property
    def broker_path(self) -> str:
        return urlsplit(self.broker).path or "/mqtt"

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
