"""The group of commands. A command NAME is the click command `NAME` in tools/NAME.py, imported when it is asked for."""

import importlib

import click

from backend.command_group import CommandGroup

NAMES = ("setup", "check", "verify", "bench", "mpy")


class Commands(CommandGroup):
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
