"""Who asks, and what a role, a place and a scope allow. Pure."""

import dataclasses
import enum
from typing import Literal

Kind = Literal["session", "token", "key", "command"]

# What a key or a token can be limited to. A view that names no scope is for people at a browser only.
SCOPES = {
    "readings:read": "read devices, channels, readings and the ledger",
    "readings:write": "hand in readings of devices",
    "devices:write": "change labels, places, notes, calibrations and settings of devices",
    "alerts:read": "read rules and episodes",
    "alerts:write": "change rules and targets, acknowledge and snooze",
    "archive:read": "list, download and verify archive objects",
    "metrics:read": "read the metrics of the processes",
    "accounts:read": "read accounts, keys and the audit log",
    "accounts:write": "change accounts and keys",
}


class Role(enum.IntEnum):
    """Each may what the one before it may, and more."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> "Role":
        """Raises KeyError for a word that is no role."""
        return cls[word.upper()]


@dataclasses.dataclass(frozen=True)
class Actor:
    """Somebody whose credentials were found right.

    id, name: of the account. places: those whose devices it sees, None: all. scopes: what its key or token is limited
    to, None: nothing. credential: which session, key or token it is, for the log; never the secret itself.
    """

    kind: Kind
    id: int
    name: str
    role: Role
    places: frozenset[str] | None = None
    scopes: frozenset[str] | None = None
    credential: str = ""

    def may(self, role: Role) -> bool:
        return self.role >= role

    def sees(self, place: str | None) -> bool:
        return self.places is None or place in self.places

    def has(self, scope: str | None) -> bool:
        """May its credentials be used for this? scope None: for people at a browser."""
        if scope is None:
            return self.kind in ("session", "command")
        return self.scopes is None or scope in self.scopes


COMMAND = Actor("command", 0, "command line", Role.ADMIN)
