"""The environment variables that the parts of a run are started with, kept in one private file for the tools."""

import json
from pathlib import Path

from .. import private
from ..errors import SettingsError
from ..settings import Settings
from .credentials import Credentials
from .layout import Layout


def of(settings: Settings, credentials: Credentials) -> dict[str, str]:
    """What makes a process read these settings, and boto3 find these credentials."""
    return {
        **settings.environment(),
        "AWS_ACCESS_KEY_ID": credentials.s3_key,
        "AWS_SECRET_ACCESS_KEY": str(credentials.s3_secret),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def save(layout: Layout, environment: dict[str, str]) -> None:
    private.write(layout.environment, json.dumps(environment, indent=1) + "\n")


def load(state_dir: Path) -> dict[str, str]:
    """What the last run in this folder was started with. Raises SettingsError when there was none."""
    try:
        return dict(json.loads(Layout(state_dir).environment.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise SettingsError(
            f"{state_dir} is not the state folder of a run.", "Start one by `make run`, or name its folder."
        ) from None
