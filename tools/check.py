"""python -m tools check: what can be said about the code without running it."""

import subprocess
import sys
import time

import click

CHECKS = (
    ("ruff check", ["ruff", "check", "."], "python -m ruff check --fix ."),
    ("ruff format", ["ruff", "format", "--check", "--output-format", "concise", "."], "python -m ruff format ."),
    ("mypy", ["mypy"], ""),
)


@click.command()
def check() -> None:
    """Style, form and types of all Python files: ruff check, ruff format --check, mypy.

    All three run, whatever the first finds. Ends with exit code 1 if one of them complained.
    """
    from backend.run.layout import ROOT

    failed = []
    for name, command, remedy in CHECKS:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
        )
        seconds = time.monotonic() - started
        if done.returncode == 0:
            click.echo(f"{click.style('ok    ', fg='green')} {name:<12} {seconds:5.1f} s")
            continue
        failed.append(name)
        click.echo(f"{click.style('FAILED', fg='red', bold=True)} {name:<12} {seconds:5.1f} s")
        click.echo("".join(f"    {line}\n" for line in (done.stdout + done.stderr).splitlines()), nl=False)
        if remedy:
            click.echo(f"    Mends most of it: {remedy}")
    if failed:
        raise SystemExit(1)
