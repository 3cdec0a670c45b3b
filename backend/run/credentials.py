"""The passwords of the embedded parts: made at random on the first run, kept in one private file."""

import dataclasses
import json
import secrets
from pathlib import Path

from .. import private
from ..errors import SettingsError
from ..settings import Secret


@dataclasses.dataclass(frozen=True)
class Credentials:
    """backend, device: passwords at the broker. s3_key, s3_secret: at the S3 server.

    ingest_id: MQTT client id of ingest. NATS gives a persistent session to whoever names it, whatever its user: a
    device that knew the id could throw ingest off, so it is as random as a password.
    """

    backend: Secret
    device: Secret
    s3_key: str
    s3_secret: Secret
    ingest_id: str

    @classmethod
    def new(cls) -> "Credentials":
        return cls(
            backend=Secret(secrets.token_urlsafe(24)),
            device=Secret(secrets.token_urlsafe(24)),
            s3_key="TG" + secrets.token_hex(9).upper(),
            s3_secret=Secret(secrets.token_urlsafe(30)),
            ingest_id="thermograph-ingest-" + secrets.token_hex(8),
        )

    @classmethod
    def load(cls, path: Path) -> "Credentials":
        """Those in the file; new ones, kept there, when there is none. Raises SettingsError on a damaged file."""
        try:
            texts = json.loads(path.read_text(encoding="utf-8"))
            found = {field.name: texts[field.name] for field in dataclasses.fields(cls)}
        except FileNotFoundError:
            made = cls.new()
            private.write(path, json.dumps(dataclasses.asdict(made), indent=1) + "\n")
            return made
        except (ValueError, KeyError, TypeError):
            raise SettingsError(
                f"{path} holds no complete set of passwords.",
                "Delete it: the next run makes new ones, and readings are kept.",
            ) from None
        return cls(
            Secret(found["backend"]),
            Secret(found["device"]),
            found["s3_key"],
            Secret(found["s3_secret"]),
            found["ingest_id"],
        )
