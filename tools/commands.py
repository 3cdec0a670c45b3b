"""The group of commands. A command NAME is the click command `NAME` in tools/NAME.py, imported when it is asked for."""

import importlib
from typing import Any

import click

from backend.errors import ThermographError

NAMES = ("setup", "check", "verify")


class Commands(click.Group):
    """Errors print themselves: what happened, what to do next, no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThermographError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in NAMES:
            return None
        command: click.Command = getattr(importlib.import_module(f".{name}", __package__), name)
        return command


@click.group(cls=Commands)
def tools() -> None:
    """Thermograph's tools.

    `make run` and `make test` call `setup` and `check` themselves; you need none of these to try Thermograph.
    """
