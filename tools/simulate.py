"""python -m tools simulate: the firmware without a board, one device or ten thousand."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .simulation.place import Place

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"max_content_width": 100})
@click.option("--devices", metavar="N", type=click.IntRange(1, 200), default=1, show_default=True, help="How many.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    help="Between two readings [default: 1; with --load 60].",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the temperatures; device n has SEED + n - 1.")
@click.option(
    "--faults",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the sensors' reads that go wrong on the bus.",
)
@click.option("--scenario", metavar="FILE", type=FILE, help="Play these steps, then end: for CI.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    help="That the steps of a scenario may take together, and the proof after them.",
)
@click.option("--broker", metavar="URL", help="mqtt://HOST:PORT or mqtts://HOST:PORT [default: that of `make run`].")
@click.option("--ca", metavar="FILE", type=FILE, help="PEM file that the broker's certificate is checked with.")
@click.option(
    "--state-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    default="var",
    show_default=True,
    help="State folder of the `make run` to join.",
)
@click.option(
    "--folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the devices keep their flash [default: STATE_DIR/simulated].",
)
@click.option(
    "--load",
    metavar="N",
    type=click.IntRange(1, 50_000),
    help="N cheap devices in this process instead: the broker's and the backend's load.",
)
@click.option(
    "--minutes",
    metavar="M",
    type=click.FloatRange(min=0.01),
    default=10.0,
    show_default=True,
    help="How long --load samples.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object instead of text.")
def simulate(
    devices: int,
    interval: float | None,
    seed: int,
    faults: float,
    scenario: Path | None,
    timeout: float,
    broker: str | None,
    ca: Path | None,
    state_dir: Path,
    folder: Path | None,
    load: int | None,
    minutes: float,
    as_json: bool,
) -> None:
    """Run the real firmware without a board: each device is a process of its own, on MicroPython where it is installed.

    A fridge's temperature, by its seed: the day, the compressor, a door that is opened, noise. While it runs:

    \b
        up, down   warmer, colder            p   cuts the power, and gives it back
        w          drops the Wi-Fi           b   blocks the network: all is sent, nothing arrives
        tab        all devices, or one       q   ends it

    With --scenario it plays the steps of a Wokwi automation scenario and checks what the console says; then each
    device sends what it holds, and the database is compared with the consoles: every reading, once, with its value.

    \b
    Beside `make run`:           python -m tools simulate --devices 3
    For CI:                      python -m tools simulate --devices 20 --scenario tests/scenarios/outage.yaml
    10,000 devices, 10 minutes:  python -m tools simulate --load 10000

    Another broker than that of `make run`: --broker, with THERMOGRAPH_BROKER_USER and THERMOGRAPH_BROKER_PASSWORD in
    the environment; with THERMOGRAPH_DATABASE of its backend a scenario ends with the same proof.

    Exit code 0: all was as it should be; 3: readings are missing, doubled or changed; 42: a step of the scenario did
    not come true; others: it could not be tried, and why.
    """
    from .simulation import place

    where = place.find(broker, ca, state_dir, os.environ)
    if load is not None:
        raise SystemExit(_load(where, load, interval or 60.0, minutes, as_json))
    from .simulation.session import Wish, run

    wish = Wish(devices, interval or 1.0, seed, faults, folder or state_dir / "simulated", scenario, timeout)
    raise SystemExit(run(wish, where, as_json))


def _load(where: "Place", devices: int, interval: float, minutes: float, as_json: bool) -> int:
    """The exit code: 0 when every reading was acked."""
    import asyncio

    from rich.console import Console

    from .simulation import load
    from .simulation.cheap import Broker
    from .simulation.load_report import LoadReport

    # One user for all: registering ten thousand would make the broker read its users ten thousand times.
    broker = Broker(where.host, where.port, where.tls, where.user, where.password)
    if where.state_dir is not None:
        where.enrol([load.name(number) for number in range(1, devices + 1)])
    console = Console(stderr=as_json)
    with LoadReport(console, devices) as report:
        try:
            done = asyncio.run(load.run(load.Plan(devices, interval, minutes * 60), broker, report.tell))
        except KeyboardInterrupt:
            return 130
    tally = done.tally
    if as_json:
        click.echo(json.dumps(load.summary(done)))
    else:
        console.print(report.table(done))
    return 3 if tally.waiting or not tally.sampled else 0
