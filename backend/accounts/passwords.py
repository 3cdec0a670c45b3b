"""Passwords: argon2id (RFC 9106), and what one must be like."""

import threading
import unicodedata

import argon2

from ..errors import InputRefused

SHORTEST, LONGEST = 10, 256
# Passwords of these lengths that every list of stolen ones begins with.
COMMON = frozenset(
    [
        "1234567890",
        "0123456789",
        "12345678910",
        "123456789a",
        "1q2w3e4r5t",
        "1qaz2wsx3edc",
        "qwertyuiop",
        "qwerty1234",
        "qwerty12345",
        "password12",
        "password123",
        "password1234",
        "passwort123",
        "passw0rd123",
        "iloveyou12",
        "administrator",
        "thermograph",
        "changeme123",
        "letmein1234",
        "welcome123",
        "adminadmin",
    ]
)
# Each check takes its memory: not every thread of the server at once.
AT_ONCE = threading.BoundedSemaphore(4)


class Passwords:
    """Hashes and checks. A check of an account that does not exist takes as long as one of an account that does."""

    def __init__(self, memory: int) -> None:
        """memory: KiB that one check takes; THERMOGRAPH_PASSWORD_MEMORY."""
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=memory, parallelism=1)
        self._nobodys = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        with AT_ONCE:
            return self._hasher.hash(_normal(password))

    def check(self, kept: str | None, password: str) -> bool:
        """kept: the account's hash, None where there is no such account: then False, after the same work."""
        with AT_ONCE:
            try:
                return self._hasher.verify(kept or self._nobodys, _normal(password)) and kept is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

    def is_outdated(self, kept: str) -> bool:
        """Was it hashed with other costs than today's?"""
        return self._hasher.check_needs_rehash(kept)


def check_choice(password: str, name: str) -> None:
    """Raises InputRefused, saying what is wrong, for a password that is easily guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputRefused(f"A password has {SHORTEST} to {LONGEST} characters.", "Several words make a good one.")
    plain = password.casefold()
    if plain in COMMON or plain == name * (len(plain) // max(1, len(name))) or len(set(plain)) < 5:
        raise InputRefused("This password is among the first that anybody would try.", "Take several words.")


def _normal(password: str) -> str:
    """The same text however a keyboard composes it (RFC 8265), and no more of it than anybody needs."""
    return unicodedata.normalize("NFC", password)[: 4 * LONGEST]
