"""python -m tools wokwi: the board in Wokwi's simulator.

parts.json   the pins and attributes of Wokwi's parts; extract.mjs renews them
diagram      diagram.json as parts, wires and nets
check        what is wrong with a diagram
board        its pins and its settings
project      the same firmware as files for wokwi.com
launch       VS Code or wokwi-cli
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .diagram import Diagram


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Check diagram.json, and stop.")
@click.option("--build", "only_build", is_flag=True, help="Check and build, but start nothing.")
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play a scenario by wokwi-cli; its exit code is this command's. tests/scenarios/wokwi has some.",
)
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The board's settings.json, as it is.  [default: firmware/wokwi/settings.json, with a password for the broker "
    "of `make run`]",
)
@click.option(
    "--micropython",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An official MicroPython .bin for the ESP32.  [default: the pinned release, downloaded once]",
)
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the firmware's files into this folder, to be uploaded as a project on wokwi.com, and stop.",
)
@click.option("--state-dir", type=click.Path(file_okay=False, path_type=Path), help="Of `make run`.  [default: var]")
@click.option("--broker-port", type=int, default=1883, show_default=True, help="Of `make run`.")
@click.option("--diagram", type=click.Path(path_type=Path), help="[default: diagram.json beside wokwi.toml]")
def wokwi(
    only_check: bool,
    only_build: bool,
    scenario: Path | None,
    settings: Path | None,
    micropython: Path | None,
    project: Path | None,
    state_dir: Path | None,
    broker_port: int,
    diagram: Path | None,
) -> None:
    """Run the firmware on a simulated ESP32, with a DS18B20, a DHT22, an LED and a button.

    Builds the image that wokwi.toml names, checks the diagram, and opens VS Code or starts wokwi-cli, whichever is
    here. Says what Wokwi itself needs. Ends with exit code 65 for a diagram with mistakes.

    \b
        make run                     # in another terminal
        python -m tools wokwi
    """
    import os
    import shutil

    from backend.errors import SettingsError
    from backend.run.layout import ROOT

    from . import board, launch

    file = diagram or ROOT / "diagram.json"
    given = settings or ROOT / "firmware" / "wokwi" / "settings.json"
    circuit, wanted = _checked(file, given)
    if project:
        _project(project, file, given)
    if only_check or project:
        return
    player = launch.scenario(ROOT, scenario, os.environ, shutil.which) if scenario else None
    if settings is None:
        wanted = board.register(wanted, circuit, state_dir or ROOT / "var", broker_port)
        click.echo(f"The board is the device {wanted['device']} of `make run`")
    _build(wanted, micropython)
    program = player or launch.choose(ROOT, os.environ, shutil.which)
    if player is None:
        click.echo(launch.NEEDS)
    if only_build:
        return
    if program is None:
        raise SettingsError("Neither `code` nor wokwi-cli with a token is here: nothing was started.")
    click.echo(f"Starting {program.about}")
    click.get_current_context().exit(launch.run(program))


def _checked(file: Path, settings: Path) -> tuple["Diagram", dict[str, Any]]:
    """Diagram and settings, if they fit. Prints the mistakes; raises DiagramError if there are any."""
    import json

    from backend.run.layout import FIRMWARE

    from ..image import device_settings
    from . import board
    from .check import check
    from .diagram import DiagramError, parse

    wanted = json.loads(device_settings.read(settings, FIRMWARE))
    diagram = parse(board.read_diagram(file))
    mistakes = check(diagram, wanted, board.pins(FIRMWARE, wanted))
    for mistake in mistakes:
        click.echo(f"{file.name}: {mistake.text} [{mistake.rule}]", err=True)
    if mistakes:
        count = len(mistakes)
        raise DiagramError(f"{file.name} has {count} mistake{'s'[: count != 1]}.", "Mend them, or check with --check.")
    click.echo(f"{file.name}: {len(diagram.parts)} parts and {len(diagram.wires)} wires are right")
    return diagram, wanted


def _project(folder: Path, diagram: Path, settings: Path) -> None:
    from backend.run.layout import FIRMWARE

    from .. import mpy
    from ..image import device_settings
    from . import board, project

    pack = mpy.release(FIRMWARE)[mpy.PACK]
    files = project.build(FIRMWARE, pack, board.read_diagram(diagram), device_settings.read(settings, FIRMWARE))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    click.echo(f"{folder}: {len(files)} files. Open https://wokwi.com/projects/new/micropython-esp32, upload them all.")
    click.echo("A project there is public, and reaches brokers on the internet only: name yours in settings.json.")


def _build(wanted: dict[str, Any], source: Path | None) -> None:
    """The image where wokwi.toml looks for it."""
    from backend.errors import SettingsError
    from backend.run.layout import ROOT

    from .. import image
    from . import board

    out = ROOT / "var" / "build" / "wokwi"
    made = image.build(out, source, board.save(wanted, out / "settings.json"))
    if made.micropython.chip.name != "esp32":
        raise SettingsError(f"{source} is for the {made.micropython.chip.name}, but the diagram's board has an ESP32.")
    click.echo(f"{made.image.relative_to(ROOT)}: MicroPython {made.micropython.version}, {len(made.files)} files")
