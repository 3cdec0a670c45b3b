"""Signing in, whoever asks: the page or a program. Limited by account and by address, and noted."""

import ipaddress
import time

from ..database import Database
from ..errors import NotSignedIn, TooOften
from ..limits import Limits
from . import audit, totp, users
from .actor import Actor, Role
from .passwords import Passwords
from .users import User, actor_of, subject

# Tries, and the seconds in which they come back.
OF_ACCOUNT = (10, 300.0)
OF_ADDRESS = (40, 300.0)
OF_CODE = (5, 300.0)
REFUSED = "This name and this password do not belong together."


class SignIn:
    def __init__(self, database: Database, passwords: Passwords, limits: Limits) -> None:
        self._database = database
        self._passwords = passwords
        self._limits = limits

    def with_password(self, name: str, password: str, address: str) -> User:
        """The account. Raises TooOften, and NotSignedIn: never saying whether it was the name or the password."""
        name = name.strip().lower()[:64]
        self._count(f"sign-in/address/{network(address)}", *OF_ADDRESS)
        self._count(f"sign-in/account/{name}", *OF_ACCOUNT)
        with self._database.read() as connection:
            user = users.find(connection, name)
        right = self._passwords.check(user.password if user else None, password)
        if user is None or not right or user.disabled_at is not None:
            with self._database.write() as connection:
                stranger = Actor("session", 0, name, Role.VIEWER, credential=address)
                audit.note(connection, stranger, "sign-in.refused", f"account {name}", None, None)
            raise NotSignedIn(REFUSED, "Try again, or ask an admin for a new password.")
        if self._passwords.is_outdated(user.password):
            with self._database.write() as connection:
                users.rehash(connection, user, self._passwords.hash(password))
        return user

    def with_code(self, user: User, code: str, address: str) -> None:
        """The second factor: the app's code, or a recovery code. Raises TooOften, NotSignedIn."""
        self._count(f"sign-in/code/{user.id}", *OF_CODE)
        with self._database.write() as connection:
            right = totp.take(connection, user.id, code, time.time_ns() // 1_000_000)
            if not right:
                actor = actor_of(user, credential=address)
                audit.note(connection, actor, "sign-in.code-refused", subject(user), None, None)
        if not right:
            raise NotSignedIn("This code is not right, or was used already.", "Wait for the app's next one.")

    def _count(self, key: str, most: int, within: float) -> None:
        wait = self._limits.hit(key, most, within)
        if wait:
            raise TooOften("Too many tries to sign in.", wait)


def network(address: str) -> str:
    """What one person has of addresses: of IPv6 the first 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{found}/64", strict=False)) if found.version == 6 else str(found)
