"""The backend's commands. Each is one process; `run` starts them all. See python -m backend --help."""

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from . import failpoints
from .command_group import CommandGroup
from .errors import VerificationFailed
from .garbage import collect_rarely
from .settings import Settings

if TYPE_CHECKING:
    from .database import Database


class Commands(CommandGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["run", "alert", "account", "report", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name == "run":
            # The supervisor's imports are of no use to the processes that it starts.
            from .run import run

            return run
        if name == "alert":
            from .alert_command import alert

            return alert
        if name == "account":
            from .account_command import account

            return account
        if name == "report":
            from .report_command import report

            return report
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
    from .ingest import Ingest, topics

    settings = Settings.read(os.environ)
    failpoints.arm(settings.failpoint)
    stop = _stop_signal()
    # A group of messages is a hundred thousand objects that all go away together, none of them in a cycle: to search
    # them for cycles every 700 objects would take a quarter of the time.
    collect_rarely(200_000)
    database = _database(settings)
    bus = Bus(settings, topics(settings.ingest_share), on_subscribed=lambda: click.echo("ready"))
    bus.start()
    Ingest(database, bus, settings.enrolment, settings.ingest_batch).run(stop)
    bus.stop()


@main.command()
def archive() -> None:
    """Write committed readings to S3 as Parquet objects."""
    from .archive import Archive
    from .objects import ObjectStore

    settings = Settings.read(os.environ)
    failpoints.arm(settings.failpoint)
    stop = _stop_signal()
    database = _database(settings)
    keeper = Archive(database, ObjectStore(settings), settings.archive_rows, settings.archive_age, settings.hot_days)
    click.echo("ready")
    keeper.run(stop)


@main.command()
@click.option("--once", is_flag=True, help="Do it once, now, and end. Exit code 3: something is not what it was.")
@click.option(
    "--remove-after",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    help="How long the small objects stay for exports and verify that began before.",
)
def compact(once: bool, remove_after: float) -> None:
    """Make one object of each day that is over, and seal it in the chain of manifests.

    The small objects go only after the one was read back, SQL names it, and the manifest says so. Killed at any
    step, or run twice at once, the next run goes on. `python -m tools chain` proves the archive by the manifests.
    """
    from . import compaction
    from .catalog import Catalog
    from .freezing import now
    from .objects import ObjectStore

    settings = Settings.read(os.environ)
    failpoints.arm(settings.failpoint)
    stop = _stop_signal()
    store = ObjectStore(settings)
    work = compaction.Compaction(store, Catalog(_database(settings)), int(remove_after * 1000))
    after = int(settings.compact_after * compaction.HOUR)
    if not once:
        click.echo("ready")
        compaction.serve(work, store, after, stop)
        return
    report = work.run(compaction.due_through(now(), after))
    compaction.tell(report)
    raise SystemExit(VerificationFailed.exit_code if report.troubles else 0)


@main.command()
def alerts() -> None:
    """Evaluate the rules as readings are committed, and tell of episodes by mail, webhook and MQTT."""
    from .alerts import service
    from .alerts.delivery import Delivery
    from .alerts.engine import Engine

    settings = Settings.read(os.environ)
    stop = _stop_signal()
    database = _database(settings)
    click.echo("ready")
    service.run(database, Engine(database), Delivery(database, settings), stop)


@main.command()
def announce() -> None:
    """Tell the broker the newest values, wanted settings, and Home Assistant what devices there are."""
    from .announce.outlet import Outlet
    from .announce.service import Announcer

    settings = Settings.read(os.environ)
    stop = _stop_signal()
    database = _database(settings)
    outlet = Outlet(settings)
    outlet.start()
    click.echo("ready")
    try:
        Announcer(database, outlet, settings.home_assistant).run(stop)
    finally:
        outlet.stop()


@main.command()
def gateway() -> None:
    """Take readings of sensors that only know TCP or HTTP, keep them on disk, publish them as devices.

    \b
    python -m backend gateway
    python -m tools tcp-send 127.0.0.1:7007 temperature=21.4
    """
    from .gateway import service

    service.run(Settings.read(os.environ), _stop_signal(), lambda: click.echo("ready"))


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
