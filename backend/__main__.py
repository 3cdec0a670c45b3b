"""The backend's commands. Each is one process; `run` starts them all. See python -m backend --help."""

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from .command_group import CommandGroup
from .settings import Settings

if TYPE_CHECKING:
    from .database import Database


class Commands(CommandGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["run", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name == "run":
            # The supervisor's imports are of no use to the processes that it starts.
            from .run import run

            return run
        return super().get_command(ctx, name)


@click.group(cls=Commands)
def main() -> None:
    """Thermograph's backend.

    `run` is all of it on this machine, with a broker, an S3 server and a simulated device of its own. The other
    commands are its parts, one process each, for a server: they read their settings from THERMOGRAPH_... variables,
    which backend/README.md lists.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)


@main.command()
def migrate() -> None:
    """Create the database's tables, or bring them to this release's form. Safe to run again."""
    from .database import Database

    settings = Settings.read(os.environ)
    database = Database(settings.database, settings.database_password)
    database.migrate()
    click.echo(f"{database.name} is up to date.")


@main.command()
def ingest() -> None:
    """Take messages from the broker, store their readings, acknowledge them."""
    from .bus import Bus
    from .ingest import TOPICS, Ingest

    settings = Settings.read(os.environ)
    stop = _stop_signal()
    database = _database(settings)
    bus = Bus(settings, TOPICS)
    bus.start()
    while not stop.is_set():
        if bus.wait_until_subscribed(0.25):
            click.echo("ready")
            break
    Ingest(database, bus, settings.enrolment).run(stop)
    bus.stop()


@main.command()
def archive() -> None:
    """Write committed readings to S3 as Parquet objects."""
    from .archive import Archive
    from .objects import ObjectStore

    settings = Settings.read(os.environ)
    stop = _stop_signal()
    database = _database(settings)
    keeper = Archive(database, ObjectStore(settings), settings.archive_rows, settings.archive_age)
    click.echo("ready")
    keeper.run(stop)


@main.command()
def web() -> None:
    """Serve the web page and the API."""
    from .app import serve

    serve(Settings.read(os.environ))


@main.command()
@click.argument("device")
@click.argument("sensor")
@click.argument("unit")
@click.option("--gain", type=float, default=1.0, show_default=True, help="Factor for what the sensor measures.")
@click.option("--offset", type=float, default=0.0, show_default=True, help="Added after that, in the channel's unit.")
def calibrate(device: str, sensor: str, unit: str, gain: float, offset: float) -> None:
    """Correct a channel from now on: its next revision is gain * measured + offset.

    What was measured stays as it is in the database and in the archive; pages and API show corrected values.

    \b
    python -m backend calibrate fridge-1 28ff641e8216c3a1 Cel --offset -0.3
    """
    from .calibration import calibrate

    database = _database(Settings.read(os.environ))
    with database.write() as connection:
        made = calibrate(connection, device, sensor, unit, gain, offset)
    click.echo(f"{device} {sensor} {unit}: revision {made.revision} is {gain:g} * measured {offset:+g} {unit}")


def _database(settings: Settings) -> "Database":
    # Half a second of imports, which `run` and --help can do without.
    from .database import Database

    database = Database(settings.database, settings.database_password)
    database.check_revision()
    return database


def _stop_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    main(prog_name="python -m backend")
