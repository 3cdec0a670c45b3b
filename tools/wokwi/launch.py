"""Starting Wokwi: which of its two programs is here, and what each needs that only its user can get."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.errors import SettingsError

TOKEN = "WOKWI_CLI_TOKEN"  # noqa: S105 - the name of a variable
NEEDS = """\
Wokwi itself needs one of these:
  VS Code   its extension wokwi.wokwi-vscode, and a licence: F1, "Wokwi: Request a new License".
            Its gateway runs on this computer: the board reaches `make run` as host.wokwi.internal.
  CLI       wokwi-cli (https://docs.wokwi.com/wokwi-ci/cli-installation), and a token in WOKWI_CLI_TOKEN
            (https://wokwi.com/dashboard/ci). It runs in Wokwi's cloud: the board reaches brokers on the internet only.
  browser   https://wokwi.com/projects/305457271083631168: paste diagram.json, then F1, "Upload Firmware and Start
            Simulation...", and choose the image. Brokers on the internet only, unless you run Wokwi's private gateway
            (https://github.com/wokwi/wokwigw, for members of its club): F1, "Enable Private Wokwi IoT Gateway".
Its public gateway reads what passes: send nothing through it that is secret, and take mqtt with TLS (broker.tls)."""


@dataclass(frozen=True)
class Program:
    """about: what is started, for the person."""

    about: str
    command: list[str]


def choose(root: Path, environ: Mapping[str, str], which: Callable[[str], str | None]) -> Program | None:
    """VS Code before the CLI: only with it a local broker is reached. None: neither is ready."""
    editor, cli = which("code"), which("wokwi-cli")
    if editor:
        return Program(
            "VS Code: press F1, then `Wokwi: Start Simulator`", [editor, str(root), str(root / "diagram.json")]
        )
    if cli and environ.get(TOKEN):
        return Program("wokwi-cli: Ctrl-C ends it", [cli, "--timeout", "0", "--interactive", str(root)])
    return None


def scenario(root: Path, file: Path, environ: Mapping[str, str], which: Callable[[str], str | None]) -> Program:
    """Raises SettingsError: only the CLI plays scenarios."""
    cli = which("wokwi-cli")
    if cli is None or not environ.get(TOKEN):
        missing = f"{TOKEN} is not set" if cli else "wokwi-cli is not installed"
        raise SettingsError(
            f"Scenarios are played by wokwi-cli with a token, but {missing}.",
            "https://docs.wokwi.com/wokwi-ci/cli-installation says how. Without an account: python -m tools simulate.",
        )
    words = [cli, "--timeout", "600000", "--scenario", str(file.resolve()), str(root)]
    return Program(f"wokwi-cli, {file.name}", words)


def run(program: Program) -> int:
    """Its exit code. The token goes by the environment."""
    return subprocess.run(program.command, check=False).returncode
