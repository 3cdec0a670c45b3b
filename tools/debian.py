"""Debian's and Ubuntu's packages, by apt-get. Standard library only: bootstrap.py needs it on a bare Python."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
MARK = "# Thermograph's setup: removed when it ends."
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
OPTIONS = ("-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20", "-o", "Acquire::Retries=1")


def is_here() -> bool:
    return bool(shutil.which("apt-get") and shutil.which("dpkg"))


def can_install() -> bool:
    return is_here() and hasattr(os, "geteuid") and os.geteuid() == 0


def run(command: Sequence[str], folder: Path | None = None, quiet: bool = False) -> bool:
    """Whether it succeeded; its last words are shown only if it did not, and not even then when quiet."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"  {command[0]}: {error}")
        return False
    if done.returncode != 0 and not quiet:
        print("".join(f"  {line}\n" for line in done.stdout.splitlines()[-8:]), end="")
    return done.returncode == 0


def update() -> bool:
    return run(["apt-get", *OPTIONS, "update"])


def install(packages: Sequence[str], daemons: Sequence[str] = ()) -> bool:
    """Install them with what they need and nothing recommended. daemons: those neither start now nor at boot."""
    command = ["apt-get", *OPTIONS, "install", "--yes", "--no-install-recommends", *packages]
    with _daemons_stay_down():
        # The lists of a fresh machine are empty or old: once more with new ones.
        done = run(command, quiet=True) or (update() and run(command))
    if done and shutil.which("systemctl"):
        for daemon in daemons:
            run(["systemctl", "disable", daemon], quiet=True)
    return done


def candidate(package: str) -> tuple[int, int] | None:
    """Major and minor version of what apt-get would install; None when it knows no such package."""
    answer = subprocess.run(
        ["apt-cache", "policy", package],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Candidate: (?:\d+:)?(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None


@contextmanager
def _daemons_stay_down() -> Iterator[None]:
    """Debian starts a daemon as it installs it: mosquitto would take the port of `make run`'s own broker."""
    if POLICY.exists() and MARK not in POLICY.read_text(encoding="utf-8", errors="replace"):
        yield
        return
    POLICY.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
