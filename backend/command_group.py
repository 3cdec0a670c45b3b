"""A click group whose errors print themselves: what happened, what to do next, no traceback."""

from typing import Any

import click

from .errors import ThermographError


class CommandGroup(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThermographError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
