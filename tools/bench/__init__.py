"""python -m tools bench NAME: what is proven or measured by running it long. A benchmark NAME is NAME.py here."""

import click

from backend.command_group import LazyGroup

NAMES = (
    "memory",
    "ingest",
    "archive",
    "restore",
    "queries",
    "crash",
    "kills",
    "faults",
    "bugs",
    "fuzz",
    "wear",
    "heap",
    "flash",
    "energy",
    "gateway",
    "workers",
    "pages",
    "streams",
    "soak",
)


@click.group(cls=LazyGroup, package=__package__, names=NAMES)
def bench() -> None:
    """Proofs and measurements that take minutes.

    Each starts from a seed that it prints, and ends with exit code 1 if a promise was broken.
    """
