"""python -m tools bench NAME: what is proven or measured by running it long. A benchmark NAME is NAME.py here."""

import importlib

import click

NAMES = ("crash", "bugs", "fuzz", "wear")


class Benches(click.Group):
    """Each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in NAMES:
            return None
        command: click.Command = getattr(importlib.import_module(f".{name}", __package__), name)
        return command


@click.group(cls=Benches)
def bench() -> None:
    """Proofs and measurements that take minutes.

    Each starts from a seed that it prints, and ends with exit code 1 if a promise was broken.
    """
