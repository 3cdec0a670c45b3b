"""The embedded MQTT broker: nats-server with MQTT and JetStream, on 127.0.0.1 unless told otherwise, nobody anonymous.

A user may speak MQTT only. Permissions are NATS subjects: a topic's "/" is a subject's ".". A device may publish what
devices publish and hear what is meant for it, and both for itself alone. NATS answers a forbidden QoS 1 publish with a
PUBACK all the same (MQTT 3.1.1 has no refusal), drops it and logs it.
"""

import json
import os
import signal
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from .. import private
from ..devices import Registry
from ..errors import ServiceFailed, SettingsError
from ..settings import Secret
from . import probes
from .child import Service
from .credentials import Credentials
from .layout import Layout
from .ports import HOST

BACKEND = "backend"
DEMO = "demo"
PID_FILE = "nats-server.pid"
MAX_PAYLOAD = 64 * 1024
# What ingest may hold unacknowledged while it commits; NATS' own 1024 would make it wait for the broker.
MAX_ACK_PENDING = 20_000
STORE_LIMIT = 2 * 1024**3


class Broker:
    """The broker's service, whose users follow the devices that are registered while it runs."""

    def __init__(self, layout: Layout, host: str, port: int, credentials: Credentials) -> None:
        """host: the address that it listens on; the backend itself always comes by HOST."""
        self._layout = layout
        self._registry = Registry(layout.state)
        self._host, self._port, self._credentials = host, port, credentials
        self._settings = layout.broker / "nats-server.conf"
        self._written = ""
        self._seen: object = None

    def service(self) -> Service:
        self._write()
        return Service(
            name="broker",
            about=f"MQTT on {self._host}:{self._port}",
            command=[program("nats-server"), "--config", str(self._settings)],
            environment={},
            folder=self._layout.broker,
            log=self._layout.log("broker"),
            ready=lambda _: probes.mqtt_accepts(self._port, BACKEND, self._credentials.backend),
            stop_within=10,
        )

    def _write(self) -> None:
        """The users as they are registered now. Raises SettingsError when that cannot be read."""
        self._seen = self._stamp()
        passwords = {BACKEND: self._credentials.backend, DEMO: self._credentials.device}
        passwords |= {one.name: one.password for one in self._registry.read().values()}
        self._written = configuration(self._layout.broker, f"{self._host}:{self._port}", passwords)
        private.write(self._settings, self._written)

    def follow(self) -> str | None:
        """To be called often: admit who was registered since. What to tell the person, if anything.

        Who is connected stays so: nats-server compares the users when it is told to read its file again (SIGHUP).
        """
        if self._stamp() == self._seen:
            return None
        before = self._written
        try:
            self._write()
            if self._written == before:
                return None
            if not hasattr(signal, "SIGHUP"):
                return "A device was registered: start this again, then the broker knows it."
            os.kill(int((self._layout.broker / PID_FILE).read_text(encoding="ascii")), signal.SIGHUP)
        except (OSError, ValueError, SettingsError) as error:
            return f"A device was registered, but the broker could not be told: {error}"
        return "A device was registered; the broker knows it."

    def _stamp(self) -> object:
        try:
            found = self._registry.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def configuration(folder: Path, listen: str, passwords: Mapping[str, Secret]) -> str:
    """nats-server's own format; JSON's strings, lists and objects are valid in it. listen: HOST:PORT of MQTT."""
    users = [
        {
            "user": name,
            "password": str(password),
            "allowed_connection_types": ["MQTT"],
            "permissions": permissions(name),
        }
        for name, password in passwords.items()
    ]
    parts = {
        "server_name": "thermograph",
        "listen": f"{HOST}:-1",  # NATS' own protocol cannot be turned off; a random port, and no user may speak it
        "max_payload": MAX_PAYLOAD,
        "pid_file": str(folder / PID_FILE),
        "jetstream": {"store_dir": str(folder / "store"), "max_file_store": STORE_LIMIT},
        "mqtt": {"listen": listen, "max_ack_pending": MAX_ACK_PENDING},
        "authorization": {"users": users},
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in parts.items())


def permissions(user: str) -> dict[str, list[str]]:
    if user == BACKEND:
        everything = ["thermograph.>", "homeassistant.>"]
        return {"publish": everything, "subscribe": everything}
    own = f"thermograph.v1.{user}"
    return {"publish": [f"{own}.{leaf}" for leaf in ("telemetry", "status", "state")], "subscribe": [own, f"{own}.>"]}


def program(name: str) -> str:
    """A program that a wheel brought. Raises ServiceFailed when it is not there."""
    folder = Path(sysconfig.get_path("scripts"))
    for candidate in (folder / name, folder / f"{name}.exe"):
        if candidate.is_file():
            return str(candidate)
    raise ServiceFailed(f"{name} is not installed in {folder}.", "Run: pip install -r requirements.txt")
