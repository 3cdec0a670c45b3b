"""What is asked of the person, and what they give in its place."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from backend.errors import SettingsError
from backend.settings import Secret

from .home import WIFI_PASSWORD, Network


def may_ask(as_json: bool) -> bool:
    return not as_json and sys.stdin.isatty()


def for_port(boards: list[Any]) -> Any:
    for number, port in enumerate(boards, 1):
        click.echo(f"  {number}  {port.device}  {port.description}")
    return boards[click.prompt("Which one", type=click.IntRange(1, len(boards))) - 1]


def whether(words: str, question: str, otherwise: bool) -> bool:
    """otherwise: what an empty answer means."""
    click.echo(words)
    return click.confirm(question, default=otherwise)


def for_wifi(ssid: str | None, from_stdin: bool, ask: bool) -> Network:
    """The password by stdin, else by the variable, else by the prompt. Raises SettingsError."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif WIFI_PASSWORD in os.environ:
        password = os.environ[WIFI_PASSWORD]
    elif ask:
        ssid = ssid or click.prompt("Name of the Wi-Fi (2.4 GHz)")
        password = click.prompt("Its password (empty: none)", hide_input=True, default="", show_default=False)
    else:
        raise SettingsError(
            "No Wi-Fi is known, and nobody can be asked.",
            f"Give --wifi NAME, and the password by {WIFI_PASSWORD} or --wifi-password-stdin.",
        )
    if not ssid:
        raise SettingsError("The Wi-Fi has no name.", "Give it by --wifi NAME.")
    return Network(ssid, Secret(password))


def read_settings(file: Path | None) -> dict[str, Any]:
    """The person's settings. Raises SettingsError, which quotes nothing of them: they may hold secrets."""
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise SettingsError(f"{file} holds no JSON object.", "firmware/README.md lists the fields of settings.json.")
    return found
