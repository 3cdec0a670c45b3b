"""A device's place in the backend: its record, its credentials, and a broker that takes them."""

import os
import queue
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.devices import MOSQUITTO_FILE, Registration, Registry
from backend.errors import BrokerUnavailable
from backend.settings import Settings, variable

from . import home, mqtt
from .errors import SignInFailed

# A broker that is told by a signal needs a moment; so does the supervisor of `make run` to notice.
ADMISSION = 10.0


def backend_settings(environ: Mapping[str, str], state_dir: Path | None) -> Settings:
    """Those of `make run` in that folder; else the environment's; else, if that names nothing, those of var/.

    Raises SettingsError.
    """
    from backend.run import environment
    from backend.run.layout import ROOT, Layout

    if state_dir is None and variable("database") not in environ and Layout(ROOT / "var").environment.is_file():
        state_dir = ROOT / "var"
    return Settings.read(environment.load(state_dir) if state_dir is not None else environ)


def register(settings: Settings, name: str | None, mac: str = "") -> tuple[Registration, bool]:
    """The device, and whether anything about it is new. Raises ThermographError."""
    from backend import devices
    from backend.database import Database

    registry = Registry(settings.state_dir)
    database = Database(settings.database, settings.database_password)
    try:
        database.check_revision()
        before = registry.read()
        found = registry.register(name, mac)
        enrolled = devices.enrol(database, found.name)
        return found, enrolled or before.get(found.name) != found
    finally:
        database.close()


def wait_for_admission(settings: Settings, device: Registration) -> None:
    """Until the backend's broker lets the device in.

    Raises BrokerUnavailable when it does not answer, SignInFailed when it refuses to the end.
    """
    deadline = time.monotonic() + ADMISSION
    while (refusal := _sign_in(settings, device)) is not None:
        if time.monotonic() > deadline:
            raise SignInFailed(
                f"The broker does not know {device.name} yet.",
                f"mosquitto: let its password_file be {settings.state_dir / MOSQUITTO_FILE}, and after each new "
                "device: systemctl reload mosquitto. Another broker: give it the user from that folder's devices.json.",
                refusal,
            )
        time.sleep(0.2)


def _sign_in(settings: Settings, device: Registration) -> str | None:
    """None when the broker takes it, else its reason. Raises BrokerUnavailable."""
    host, port = settings.broker_address
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    found = mqtt.client(settings, f"{device.name}-check-{os.getpid()}", device.name, str(device.password))
    found.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
    try:
        found.connect(host, port)
        found.loop_start()
        reason = answers.get(timeout=mqtt.PATIENCE)
    except (OSError, queue.Empty) as error:
        why = str(error) or "it is silent"
        raise BrokerUnavailable(
            f"The backend's broker at {host}:{port} does not answer: {why}.",
            "Start it (make run), then run this again.",
        ) from None
    finally:
        found.disconnect()
        found.loop_stop()
    return str(reason) if reason.is_failure else None


def secrets(settings: Settings) -> list[str]:
    """All that must not be shown: of the backend, of each device, and the person's Wi-Fi."""
    found = [str(settings.broker_password), str(settings.database_password)]
    found += [str(one.password) for one in Registry(settings.state_dir).read().values()]
    network = home.known_wifi(home.wifi_file())
    return found + ([str(network.password)] if network else [])


def device_page(settings: Settings, url: str | None, name: str) -> str:
    """Where the device is seen. url: the web page as people reach it; None: as it listens."""
    base = url or f"http://{settings.web_host}:{settings.web_port}"
    return f"{base.rstrip('/')}/#{name}"
