"""The bar that both directions show."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def transfer(what: str, size: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A function that is told of each more bytes done. quiet: no bar."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task(what, total=size)
        yield lambda more: progress.advance(bar, more)
