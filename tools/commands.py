"""The group of commands."""

import click

from backend.command_group import LazyGroup

NAMES = (
    "setup",
    "check",
    "verify",
    "restore",
    "chain",
    "bench",
    "mpy",
    "buckets",
    "upload",
    "download",
    "image",
    "wokwi",
    "flash",
    "provision",
    "monitor",
    "simulate",
    "tcp-send",
    "screenshots",
    "lambda-zip",
)


@click.group(cls=LazyGroup, package=__package__, names=NAMES)
def tools() -> None:
    """Thermograph's tools.

    `make run` and `make test` call `setup` and `check` themselves; you need none of these to try Thermograph.
    """
