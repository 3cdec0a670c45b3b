"""Who may send: each device's record in SQL, and its credentials at the broker in one private file.

A device is known by the MAC address of its board. To register one again changes nothing: it keeps its name and its
password, so a board that is flashed twice stays the same device.

    STATE_DIR/devices.json          name -> {"mac", "password"}, mode 600; the broker of `make run` follows it
    STATE_DIR/mosquitto-passwords   the same users for mosquitto's `password_file`, hashed
"""

import base64
import dataclasses
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import private
from .errors import AlreadyThere, SettingsError, Unavailable
from .settings import Secret

if TYPE_CHECKING:
    from .database import Database

FILE = "devices.json"
MOSQUITTO_FILE = "mosquitto-passwords"
NAME = re.compile(r"[a-z0-9-]{1,64}")
# Users of the embedded broker that are no boards: a board of that name would take their place.
RESERVED = ("backend", "demo")
PASSWORD_BYTES = 24
LOCK_PATIENCE = 10.0
# mosquitto 2's own: $7$, PBKDF2 with SHA-512, that many rounds, a salt of 12 bytes.
MOSQUITTO_ROUNDS = 101


@dataclasses.dataclass(frozen=True)
class Registration:
    """A device's identity. mac: 12 hex digits, or "" while no board is known for it."""

    name: str
    mac: str
    password: Secret


def mac_address(text: str) -> str:
    """12 lower-case hex digits, however the address was written. Raises SettingsError."""
    digits = re.sub(r"[:.\s-]", "", text.lower())
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise SettingsError(f"{text!r} is no MAC address.", "It takes six bytes in hex: 24:0a:c4:00:01:10.")
    return digits


class Registry:
    """The devices that were registered in a state folder. Two programs may register at the same time."""

    def __init__(self, state_dir: Path) -> None:
        self.file = state_dir / FILE
        self._mosquitto_file = state_dir / MOSQUITTO_FILE

    def read(self) -> dict[str, Registration]:
        """All of them by name. Raises SettingsError on a damaged file."""
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            return {name: Registration(name, one["mac"], Secret(one["password"])) for name, one in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise SettingsError(
                f"{self.file} cannot be read as a list of devices.",
                "Restore it from a copy; or delete it and flash every board again: they get new passwords.",
            ) from None

    def register(self, name: str | None, mac: str = "") -> Registration:
        """The device of this board, made if there is none yet.

        name: None: the one it has, or else one made of its MAC. A name that was provided without a board is given to
        the first board that asks for it. Raises SettingsError for a name that cannot be used, AlreadyThere when name
        or board belong to another.
        """
        with self._held():
            known = self.read()
            found = _find(known, name, mac)
            if found is None:
                found = Registration(name or _new_name(known, mac), mac, Secret(secrets.token_urlsafe(PASSWORD_BYTES)))
            elif mac and not found.mac:
                found = dataclasses.replace(found, mac=mac)
            if known.get(found.name) != found:
                self._write({**known, found.name: found})
            return found

    def _write(self, devices: dict[str, Registration]) -> None:
        rows = {one.name: {"mac": one.mac, "password": str(one.password)} for one in devices.values()}
        private.write(self.file, json.dumps(rows, indent=1) + "\n")
        private.write(self._mosquitto_file, "".join(f"{one.name}:{_hashed(one)}\n" for one in devices.values()))

    @contextmanager
    def _held(self) -> Iterator[None]:
        """A folder that only one can make: the same on every system."""
        lock = private.make_folder(self.file.parent) / f".{FILE}.lock"
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                lock.mkdir()
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"Another program has been registering a device for {LOCK_PATIENCE:.0f} s.",
                        f"If none is running, one was killed: delete the folder {lock} and try again.",
                    ) from None
                time.sleep(0.05)
        try:
            yield
        finally:
            lock.rmdir()


def enrol(database: "Database", name: str) -> bool:
    """Make the device's record, confirmed; whether that changed anything. Raises DatabaseUnavailable."""
    # Here: the broker of `make run` reads the registry too, and must not wait half a second for SQLAlchemy.
    from sqlalchemy import select, update

    from .database import add_missing
    from .models import Device

    with database.write() as connection:
        enrolled = connection.execute(select(Device.enrolled).where(Device.name == name)).scalar_one_or_none()
        if enrolled:
            return False
        add_missing(connection, Device, [{"name": name, "enrolled": True, "created": time.time_ns() // 1_000_000}])
        connection.execute(update(Device).where(Device.name == name).values(enrolled=True))
        return True


def _find(known: dict[str, Registration], name: str | None, mac: str) -> Registration | None:
    if name is not None and not NAME.fullmatch(name):
        raise SettingsError(f"{name!r} is no device name.", "It takes 1 to 64 of a-z, 0-9 and -.")
    if name in RESERVED:
        raise AlreadyThere(f"The name {name} belongs to Thermograph itself.", "Choose another.")
    of_board = next((one for one in known.values() if mac and one.mac == mac), None)
    of_name = known.get(name) if name else None
    if of_board and name and of_board.name != name:
        raise AlreadyThere(
            f"This board ({mac}) is registered as {of_board.name}.",
            f"Leave the name out to keep it: its readings are filed under {of_board.name}.",
        )
    if of_name and mac and of_name.mac not in ("", mac):
        raise AlreadyThere(f"The name {name} belongs to another board ({of_name.mac}).", "Choose another name.")
    return of_board or of_name


def _new_name(known: dict[str, Registration], mac: str) -> str:
    if not mac:
        raise SettingsError("A device needs a name or the MAC address of its board.")
    short = f"thermograph-{mac[-6:]}"
    return short if short not in known else f"thermograph-{mac}"


def _hashed(device: Registration) -> str:
    """The salt comes from the password, which is random itself: so the same device gives the same line."""
    salt = hashlib.sha256(f"{device.name}:{device.password}".encode()).digest()[:12]
    digest = hashlib.pbkdf2_hmac("sha512", device.password.encode(), salt, MOSQUITTO_ROUNDS)
    return "$".join(["", "7", str(MOSQUITTO_ROUNDS), _base64(salt), _base64(digest)])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
