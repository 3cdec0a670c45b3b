"""Where the devices' broker is, who they are there, and which database holds what it stored."""

import dataclasses
import ssl
from collections.abc import Mapping
from pathlib import Path

from backend.devices import Registry, enrol
from backend.errors import SettingsError
from backend.run import environment
from backend.settings import Secret, Settings, variable


@dataclasses.dataclass(frozen=True)
class Place:
    """host, port: of the broker. ca: PEM text, None in the clear. settings: of the backend behind it, None if unknown.

    state_dir: of a `make run` whose registry gives each device its credentials, else None. user "": nobody signs in.
    """

    host: str
    port: int
    ca: str | None
    user: str
    password: Secret
    settings: Settings | None
    state_dir: Path | None

    def credentials(self, name: str) -> tuple[str, Secret]:
        """(user, password) of a device at this broker; it is registered and enrolled where that can be done."""
        if self.state_dir is None:
            return self.user, self.password
        return name, Registry(self.state_dir).register(name).password

    def enrol(self, names: list[str]) -> None:
        """So that a backend whose enrolment is closed takes their readings. Raises DatabaseUnavailable."""
        if self.state_dir is None or self.settings is None:
            return
        from backend.database import Database

        database = Database(self.settings.database, self.settings.database_password)
        try:
            for name in names:
                enrol(database, name)
        finally:
            database.close()

    @property
    def tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cadata=self.ca) if self.ca is not None else None


def find(broker: str | None, ca: Path | None, state_dir: Path, environ: Mapping[str, str]) -> Place:
    """The broker that was named, with user and password from the environment; else that of `make run` in state_dir.

    Raises SettingsError: no such run, no URL, no CA for TLS.
    """
    if broker is None and variable("broker") not in environ:
        known = Settings.read(environment.load(state_dir))
        host, port = known.broker_address
        return Place(host, port, None, known.broker_user, known.broker_password, known, state_dir)
    given = Settings.read({**environ, **({variable("broker"): broker} if broker else {})})
    if given.broker_scheme not in ("mqtt", "mqtts"):
        raise SettingsError(f"A device speaks mqtt:// or mqtts://, not {given.broker_scheme}://.")
    file = ca or (Path(given.broker_ca) if given.broker_ca else None)
    text = _pem(file) if given.broker_scheme == "mqtts" else None
    host, port = given.broker_address
    backend = given if variable("database") in environ else None
    return Place(host, port, text, given.broker_user, given.broker_password, backend, None)


def _pem(file: Path | None) -> str:
    if file is None:
        raise SettingsError(
            "mqtts:// needs to know who signed the broker's certificate: a board trusts nobody by itself.",
            "Name that CA's PEM file: --ca FILE.",
        )
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read as a PEM file: {error}") from None
