"""What a board is told of where it will live: the person's Wi-Fi, and the broker as it is reached from there."""

import dataclasses
import ipaddress
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend import private
from backend.errors import SettingsError
from backend.settings import Secret

WIFI_PASSWORD = "THERMOGRAPH_WIFI_PASSWORD"  # noqa: S105 - the name of a variable
PORTS = {"mqtt": 1883, "mqtts": 8883}
# Nothing is sent there: the system only says which of its addresses it would send from. TEST-NET-1, RFC 5737.
ELSEWHERE = ("192.0.2.1", 9)


@dataclasses.dataclass(frozen=True)
class Network:
    """A Wi-Fi. password: "" for an open one."""

    ssid: str
    password: Secret

    def fields(self) -> dict[str, str]:
        return {"ssid": self.ssid, **({"password": str(self.password)} if self.password else {})}


@dataclasses.dataclass(frozen=True)
class Broker:
    """ca: PEM text, "" without TLS."""

    host: str
    port: int
    ca: str = ""

    @property
    def is_local(self) -> bool:
        """Reached from this computer only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def fields(self, name: str, password: Secret) -> dict[str, Any]:
        tls = {"tls": {"ca": self.ca}} if self.ca else {}
        return {"host": self.host, "port": self.port, "user": name, "password": str(password), **tls}


def wifi_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("thermograph") / "wifi.json"


def wifi(file: Path, ssid: str | None, ask: Callable[[str | None], Network]) -> Network:
    """The Wi-Fi that was given before, or another one, asked for and kept for the next board in a file of mode 600.

    ssid: the one that is wanted; None: the one that is known. Raises SettingsError for one that no board could join.
    """
    known = known_wifi(file)
    if known is not None and ssid in (None, known.ssid):
        return known
    given = ask(ssid)
    if not 0 < len(given.ssid.encode()) <= 32:
        raise SettingsError("A Wi-Fi's name has 1 to 32 bytes.")
    if given.password and not 8 <= len(given.password) <= 64:
        raise SettingsError("A Wi-Fi's password has 8 to 64 characters, or none.")
    private.write(file, json.dumps(given.fields()) + "\n")
    return given


def known_wifi(file: Path) -> Network | None:
    """The one that was given before. Raises SettingsError when its file cannot be read."""
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        return Network(fields["ssid"], Secret(fields.get("password", "")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SettingsError(f"{file} cannot be read.", "Delete it: the Wi-Fi will be asked for again.") from None


def broker(url: str, ca: Path | None) -> Broker:
    """Of mqtt://HOST:PORT, or with TLS mqtts://. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname:
        raise SettingsError(f"{url!r} is no broker that a board can use.", "Give it by --broker mqtt[s]://HOST:PORT.")
    if (parts.scheme == "mqtts") != (ca is not None):
        raise SettingsError(
            "TLS takes both: --broker mqtts://HOST:PORT, and --ca FILE with who signs the broker's certificate."
        )
    text = ""
    if ca is not None:
        try:
            text = ca.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise SettingsError(f"{ca} cannot be read as a certificate: {error}.", "It takes PEM text.") from None
    return Broker(parts.hostname, port or PORTS[parts.scheme], text)


def seen_from_outside(found: Broker) -> Broker:
    """A broker on this computer, by the address that boards reach it at. Raises SettingsError if they cannot."""
    if not found.is_local:
        return found
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            host = probe.getsockname()[0]
        except OSError:
            raise SettingsError("This computer has no network that a board could join.", "Join one.") from None
    try:
        socket.create_connection((host, found.port), timeout=3).close()
    except OSError:
        raise SettingsError(
            f"The broker listens on this computer only: no board reaches {host} port {found.port}.",
            'Start it again with --lan (make run ARGS="--lan"), or name another broker: --broker mqtt://HOST:PORT.',
        ) from None
    return dataclasses.replace(found, host=host)


def board_settings(
    before: dict[str, Any], more: dict[str, Any], name: str, broker_fields: dict[str, Any], network: Network | None
) -> dict[str, Any]:
    """settings.json: what the board has, over it the person's file, over that its identity and where it lives."""
    made = {**before, **more, "device": name}
    given = more.get("broker") if isinstance(more.get("broker"), dict) else {}
    made["broker"] = {**(given or {}), **broker_fields}
    if network is not None and "networks" not in more:
        others = [one for one in before.get("networks") or [] if one.get("ssid") != network.ssid]
        made["networks"] = [network.fields(), *others][:8]
    return made
