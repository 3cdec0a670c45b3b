"""The command line of `python -m backend run`."""

import time
from pathlib import Path

import click

PORT = click.IntRange(1, 65535)


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--web-port", metavar="PORT", type=PORT, default=8080, show_default=True, help="Port of the web page and the API."
)
@click.option(
    "--broker-port",
    metavar="PORT",
    type=PORT,
    default=1883,
    show_default=True,
    help="Port of the embedded MQTT broker.",
)
@click.option(
    "--lan/--no-lan",
    default=False,
    show_default=True,
    help="Let boards on your network reach the broker. Without TLS: for a network that you trust.",
)
@click.option(
    "--s3-port",
    metavar="PORT",
    type=PORT,
    default=8333,
    show_default=True,
    help="Port of the embedded S3 server. It and the nine ports after it are taken.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default="var",
    show_default=True,
    help="Folder for everything that is kept: database, broker, S3 objects, device, passwords, logs. "
    "Delete it to start from nothing.",
)
@click.option("--device/--no-device", default=True, show_default=True, help="Run the simulated device.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two readings of the simulated device.",
)
@click.option(
    "--archive-age",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    help="Seconds after which waiting readings go to S3.",
)
def run(
    web_port: int,
    broker_port: int,
    lan: bool,
    s3_port: int,
    state_dir: Path,
    device: bool,
    interval: float,
    archive_age: float,
) -> None:
    """Run all of Thermograph on this machine: broker, S3 server, ingest, archive, web page, and a simulated device.

    Nothing needs setting up, nothing outside the state folder is written, and every port is on 127.0.0.1 only, the
    broker's with --lan excepted. Ctrl-C stops all of it; the next run goes on with the same data. A part that dies is
    started again and named.

    Two runs side by side need a folder and ports of their own:

    \b
        python -m backend run --state-dir var/second \\
            --web-port 8090 --broker-port 1893 --s3-port 8433
    """
    from . import machine
    from .console import Console

    started = time.monotonic()
    state = state_dir.resolve()
    choices = machine.Choices(web_port, broker_port, s3_port, lan, state, device, interval, archive_age)
    machine.run(choices, Console(), started)
