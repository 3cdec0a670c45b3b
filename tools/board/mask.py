"""Secrets that must not show: whatever goes to a screen or a log passes through here."""

import re
from collections.abc import Iterable

SHOWN = "***"
# Shorter ones would blank out half of every line; Wi-Fi and our own passwords have 8 characters at least.
SHORTEST = 4
_FIELD = re.compile(r'("(?:password|setup_password|psk|secret|token|key)"\s*:\s*)"(?:[^"\\]|\\.)*"')


def secrets_in(fields: object) -> list[str]:
    """The passwords of settings.json, wherever they stand in it."""
    if isinstance(fields, dict):
        own = [value for name, value in fields.items() if name.endswith("password") and isinstance(value, str)]
        return own + [secret for value in fields.values() for secret in secrets_in(value)]
    if isinstance(fields, list):
        return [secret for value in fields for secret in secrets_in(value)]
    return []


class Mask:
    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        self._secrets.update(str(secret) for secret in secrets if len(secret) >= SHORTEST)

    def text(self, text: str) -> str:
        """Known secrets wherever they stand, and the values of JSON fields that are named like one."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, SHOWN)
        return _FIELD.sub(rf'\1"{SHOWN}"', text)
