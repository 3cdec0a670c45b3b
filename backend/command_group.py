"""Groups of click commands whose errors print themselves: what happened, what to do next, no traceback."""

import importlib
from typing import Any

import click

from .errors import SettingsError, ThermographError

OURS = ("backend", "tools", "tests")


class CommandGroup(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThermographError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)


class LazyGroup(CommandGroup):
    """A command NAME is the click command `NAME` in the module NAME of `package`, imported when it is asked for.

    A dash in a command's name is an underscore in its module's.
    """

    def __init__(self, *args: Any, package: str, names: tuple[str, ...], **more: Any) -> None:
        super().__init__(*args, **more)
        self._package = package
        self._names = names

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._names)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._names:
            return None
        module = name.replace("-", "_")
        try:
            command: click.Command = getattr(importlib.import_module(f"{self._package}.{module}"), module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in OURS:
                raise
            raise SettingsError(
                f"The Python package {error.name} is not installed here.",
                "Run `python3 -m tools setup --for test`, then .venv/bin/python in the place of python.",
            ) from None
        return command
