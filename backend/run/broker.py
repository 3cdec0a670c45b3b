"""The embedded MQTT broker: nats-server with MQTT and JetStream, on 127.0.0.1 only, no anonymous users.

A user may speak MQTT only. Permissions are NATS subjects: a topic's "/" is a subject's ".". A device may publish what
devices publish and hear what is meant for it, and both for itself alone. NATS answers a forbidden QoS 1 publish with a
PUBACK all the same (MQTT 3.1.1 has no refusal), drops it and logs it.
"""

import json
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from ..errors import ServiceFailed
from ..settings import Secret
from . import private, probes
from .child import Service
from .credentials import Credentials
from .layout import Layout
from .ports import HOST

BACKEND = "backend"
MAX_PAYLOAD = 64 * 1024
# What ingest may hold unacknowledged while it commits; NATS' own 1024 would make it wait for the broker.
MAX_ACK_PENDING = 20_000
STORE_LIMIT = 2 * 1024**3


def service(layout: Layout, port: int, credentials: Credentials, devices: Mapping[str, Secret]) -> Service:
    """devices: the password of each device that may connect."""
    folder = private.make_folder(layout.broker)
    settings = folder / "nats-server.conf"
    private.write(settings, configuration(folder / "store", port, {BACKEND: credentials.backend, **devices}))
    return Service(
        name="broker",
        about=f"MQTT on {HOST}:{port}",
        command=[program("nats-server"), "--config", str(settings)],
        environment={},
        folder=folder,
        log=layout.log("broker"),
        ready=lambda _: probes.mqtt_accepts(port, BACKEND, credentials.backend),
        stop_within=10,
    )


def configuration(store: Path, port: int, passwords: Mapping[str, Secret]) -> str:
    """nats-server's own format; JSON's strings, lists and objects are valid in it."""
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
        "jetstream": {"store_dir": str(store), "max_file_store": STORE_LIMIT},
        "mqtt": {"listen": f"{HOST}:{port}", "max_ack_pending": MAX_ACK_PENDING},
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
