"""python -m tools bench bugs: bugs put into the firmware on purpose, and the tests that find them."""

import multiprocessing.pool
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from .firmware import load


@click.command()
@click.option(
    "--all", "whole", is_flag=True, help="Each must be found by the firmware's whole suite, not its own check."
)
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Bugs tried at once.")
def bugs(whole: bool, jobs: int) -> None:
    """Plant each bug of tests/firmware/seeded_bugs/ in a copy of the firmware, and show that a test finds it.

    The same tests pass on a copy without a bug. --all takes minutes for each bug.
    """
    seeded = load("seeded")
    escaped = 0
    with multiprocessing.pool.ThreadPool(jobs) as pool:
        for bug, found, by, seconds in pool.imap(lambda bug: one(seeded, bug, whole), [None, *seeded.bugs()]):
            good = found if bug else not found
            escaped += not good
            what = f"{bug.name}: {bug.about}" if bug else "no bug"
            verdict = ("found" if found else "NOT FOUND") if bug else ("passes" if good else "FAILS")
            click.echo(f"{click.style(f'{verdict:9}', fg='green' if good else 'red')} {seconds:5.1f} s  {what}")
            click.echo(f"                   {by}")
    if escaped:
        raise SystemExit(1)


def one(seeded: Any, bug: Any, whole: bool) -> tuple[Any, bool, str, float]:
    """(bug, whether a test failed, which, seconds)."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thermograph-bug-") as folder:
        firmware = seeded.copy(Path(folder) / "firmware")
        if bug:
            seeded.plant(bug, firmware)
        if whole:
            code, output = seeded.run_all(firmware)
            failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
            by = failed[0] if failed else output.splitlines()[-1]
        else:
            tests = [bug.test] if bug else sorted({each.test for each in seeded.bugs()})
            code = max(seeded.run(firmware, test.split())[0] for test in tests)
            by = ", ".join(tests) if bug else f"{len(tests)} checks"
    return bug, code != 0, by, time.monotonic() - started
