"""python -m tools bench bugs: bugs put into firmware and backend on purpose, and the tests that find them."""

import importlib
import multiprocessing.pool
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from .firmware import load

SUITES = ("firmware", "backend")


@click.command()
@click.argument("suites", nargs=-1, type=click.Choice(SUITES))
@click.option("--all", "whole", is_flag=True, help="Each must be found by the whole suite, not its own check.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Bugs tried at once.")
def bugs(suites: tuple[str, ...], whole: bool, jobs: int) -> None:
    """Plant each bug of tests/firmware/seeded_bugs/ and tests/backend/seeded_bugs/ in a copy, and show what finds it.

    The same tests pass on a copy without a bug. Name firmware or backend for one of them. --all takes minutes for
    each bug.
    """
    escaped = 0
    for name in suites or SUITES:
        seeded = load("seeded") if name == "firmware" else importlib.import_module("tests.backend.seeded")
        with multiprocessing.pool.ThreadPool(jobs) as pool:
            for bug, found, by, seconds in pool.imap(lambda bug: one(seeded, bug, whole), [None, *seeded.bugs()]):  # noqa: B023 - used up before the next turn
                good = found if bug else not found
                escaped += not good
                what = f"{bug.name}: {bug.about}" if bug else f"no bug in the {name}"
                verdict = ("found" if found else "NOT FOUND") if bug else ("passes" if good else "FAILS")
                click.echo(f"{click.style(f'{verdict:9}', fg='green' if good else 'red')} {seconds:5.1f} s  {what}")
                click.echo(f"                   {by}")
    if escaped:
        raise SystemExit(1)


def one(seeded: Any, bug: Any, whole: bool) -> tuple[Any, bool, str, float]:
    """(bug, whether a test failed, which, seconds)."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thermograph-bug-") as folder:
        copied = seeded.copy(Path(folder) / seeded.NAME)
        if bug:
            seeded.plant(bug, copied)
        if whole:
            code, output = seeded.run_all(copied)
            failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
            by = failed[0] if failed else output.splitlines()[-1]
        else:
            tests = [bug.test] if bug else sorted({each.test for each in seeded.bugs()})
            code = seeded.run_checks(copied, tests)
            by = ", ".join(tests) if bug else f"{len(tests)} checks"
    # 1 is a failed test; anything else says that the tests could not run.
    return bug, code == 1 if bug else code != 0, by, time.monotonic() - started
