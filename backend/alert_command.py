"""python -m backend alert: rules and episodes from a terminal."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import NotFound, SettingsError
from .settings import Settings

if TYPE_CHECKING:
    from .database import Database


class Duration(click.ParamType):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from .alerts.duration import parse

        try:
            return parse(str(value))
        except SettingsError as error:
            self.fail(error.message, param, ctx)


@click.group()
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules of the `make run` whose state folder this is.",
)
def alert(state_dir: Path | None) -> None:
    """Rules over channels, and the episodes that they have made. `python -m backend alerts` evaluates them.

    \b
    python -m backend alert add fridge-1 28ff641e8216c328 Cel --name "Vaccine fridge" --above 8 --for 10min \\
        --clear 0.5 --mail lab@example.org
    python -m backend alert --state-dir var episodes --open
    """
    from .run.environment import load

    if state_dir is not None:
        os.environ.update(load(state_dir))


@alert.command()
@click.argument("device")
@click.argument("sensor", required=False)
@click.argument("unit", required=False)
@click.option("--name", required=True, help="What the alert is called in mails and on the page.")
@click.option("--above", type=float, help="Wrong while the value is over this.")
@click.option("--below", type=float, help="Wrong while the value is under this.")
@click.option("--rises", type=float, help="Wrong when it has risen by more than this; needs --within.")
@click.option("--falls", type=float, help="Wrong when it has fallen by more than this; needs --within.")
@click.option("--silent", type=Duration(), help="Wrong when no value has come for so long.")
@click.option("--for", "duration", type=Duration(), default="0s", show_default=True, help="How long it must be wrong.")
@click.option(
    "--within", type=Duration(), default="0s", help="Add up exposure over this time; or, the time of a change."
)
@click.option("--clear", type=float, default=0.0, help="By how much it must come back to count as fine.")
@click.option("--hold", type=Duration(), default="15min", show_default=True, help="How long a value lasts at most.")
@click.option(
    "--severity",
    type=click.Choice(["info", "warning", "critical"]),
    default="warning",
    show_default=True,
    help="How bad it is.",
)
@click.option(
    "--health",
    "measure",
    type=click.Choice(["rssi", "outbox", "free", "restarts"]),
    help="Watch this of the device's health instead of a sensor: dBm, % full, bytes, a count (use --rises).",
)
@click.option("--schedule", "hours", help="Only at these hours: 'mon-fri 08:00-18:30 Europe/Berlin'.")
@click.option("--mail", "mails", multiple=True, help="Mail address to tell; may be given several times.")
@click.option("--webhook", "hooks", multiple=True, help="URL to POST to; may be given several times.")
@click.option("--mqtt", "topics", multiple=True, help="Topic to publish to; may be given several times.")
@click.option("--home-assistant", is_flag=True, help="Show it in Home Assistant, by MQTT discovery.")
@click.option("--escalate-after", type=Duration(), default="0s", help="Tell --escalate-to when nobody has answered.")
@click.option("--escalate-to", multiple=True, help="Mail address for that; may be given several times.")
def add(device: str, sensor: str | None, unit: str | None, name: str, **say: Any) -> None:
    """Add a rule over a channel, or over a device's health: one of --above, --below, --rises, --falls, --silent.

    \b
    python -m backend alert add fridge-1 --health rssi --below -85 --for 30min --name "Fridge 1: weak Wi-Fi"
    """
    from .alerts import rules

    rule = _rule(say)
    home = ("homeassistant",) if say["home_assistant"] else ()
    told = (("mail", say["mails"]), ("webhook", say["hooks"]), ("mqtt", say["topics"]), ("hass", home))
    with _database() as database, database.write() as connection:
        if rule.measure == "reading" and not (sensor and unit):
            raise SettingsError("A rule watches something.", "Name a sensor and its unit, or give --health.")
        wanted = rules.Wanted(
            name=name,
            rule=rule,
            channel=_channel(connection, device, sensor, unit) if rule.measure == "reading" else None,
            device=device,
            targets=_targets(connection, told),
            escalate_after=say["escalate_after"],
            escalate_to=_targets(connection, (("mail", say["escalate_to"]),)),
        )
        made = rules.add(connection, wanted)
        _note(connection, "rule.add", f"rule {made}", {"name": name})
    click.echo(f"rule {made}: {name}")


@alert.command("list")
def list_rules() -> None:
    """List the rules, each as a sentence."""
    from .alerts.rules import rules

    with _database() as database, database.read() as connection:
        for entry in rules(connection):
            off = "" if entry.enabled else " (off)"
            where = f"{entry.device} {entry.sensor}"
            hours = f", {entry.rule.schedule}" if entry.rule.schedule else ""
            click.echo(f"{entry.id:4}  {entry.name}{off}: {where} {entry.sentence}{hours}, {entry.rule.severity}")


@alert.command()
@click.argument("rule", type=int)
def remove(rule: int) -> None:
    """Remove a rule, with its episodes."""
    from .alerts.rules import remove_rule

    with _database() as database, database.write() as connection:
        remove_rule(connection, rule)
        _note(connection, "rule.remove", f"rule {rule}", None)
    click.echo(f"rule {rule} is removed.")


@alert.command("episodes")
@click.option("--open", "open_only", is_flag=True, help="Only those that last.")
def list_episodes(open_only: bool) -> None:
    """List what has happened, the newest first, and who was told."""
    from .alerts.rules import episodes
    from .alerts.sentence import amount, lasting, moment

    now = time.time_ns() // 1_000_000
    with _database() as database, database.read() as connection:
        for entry in episodes(connection, open_only=open_only):
            one = entry.episode
            length = lasting((one.end if one.end is not None else now) - one.start)
            state = "withdrawn" if entry.withdrawn_at else f"over after {length}" if one.end else f"for {length}"
            peak = f", worst {amount(one.peak, entry.unit)}" if one.peak is not None else ""
            seen = f", seen by {entry.acknowledged_by}" if entry.acknowledged_at else ""
            click.echo(f"{entry.id:4}  {moment(one.start)}  {entry.name}: {state}{peak}{seen}")
            for phase, target, outcome in entry.notices:
                click.echo(f"        {phase} → {target}: {outcome or 'on its way'}")


@alert.command()
@click.argument("episode", type=int)
@click.option("--by", required=True, help="Who has seen it.")
def acknowledge(episode: int, by: str) -> None:
    """Say that somebody has seen an episode."""
    from .alerts.rules import acknowledge

    with _database() as database, database.write() as connection:
        acknowledge(connection, episode, by)
        _note(connection, "episode.acknowledge", f"episode {episode}", {"acknowledged_by": by})


@alert.command()
@click.argument("episode", type=int)
@click.option("--for", "length", type=Duration(), required=True, help="How long nobody is told anything of it.")
@click.option("--by", required=True, help="Who wants it so.")
def snooze(episode: int, length: int, by: str) -> None:
    """Be told nothing of an episode for a while, but its end; once more if it still lasts then."""
    from .alerts.rules import snooze

    with _database() as database, database.write() as connection:
        until = time.time_ns() // 1_000_000 + length
        snooze(connection, episode, until, by)
        _note(connection, "episode.snooze", f"episode {episode}", {"snoozed_until": until, "by": by})


@alert.command()
@click.argument("rule", type=int)
@click.option("--on/--off", "wanted", default=True, help="On again, or off: then what lasts is called over.")
def enable(rule: int, wanted: bool) -> None:
    """Switch a rule on, or off."""
    from .alerts.rules import enable

    with _database() as database, database.write() as connection:
        enable(connection, rule, wanted)
        _note(connection, "rule.enable" if wanted else "rule.disable", f"rule {rule}", {"enabled": wanted})
    click.echo(f"rule {rule} is {'on' if wanted else 'off'}.")


def _targets(connection: Any, told: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[int, ...]:
    """Ids of new targets: (kind, addresses)."""
    from .alerts.targets import add_target

    made = []
    for kind, addresses in told:
        for address in addresses:
            target, secret = add_target(connection, kind, address)
            made.append(target)
            if secret:
                click.echo(f"webhook {target} is signed with this secret, shown only now: {secret}")
    return tuple(made)


def _note(connection: Any, action: str, subject: str, after: dict[str, Any] | None) -> None:
    from .accounts import audit
    from .accounts.actor import COMMAND

    audit.note(connection, COMMAND, action, subject, None, after)


def _rule(say: dict[str, Any]) -> Any:
    from .alerts.rule import Rule
    from .alerts.schedule import parse

    kinds = {"above": "high", "below": "low", "rises": "rise", "falls": "fall", "silent": "silent"}
    given = [option for option in kinds if say[option] is not None]
    if len(given) != 1:
        raise SettingsError("A rule says one thing.", "Give one of --above, --below, --rises, --falls, --silent.")
    (option,) = given
    return Rule(
        kind=kinds[option],  # type: ignore[arg-type]
        limit=say[option],
        clear=say["clear"],
        duration=say["duration"],
        window=say["within"],
        hold=say["hold"],
        severity=say["severity"],
        schedule=parse(say["hours"]) if say["hours"] else None,
        measure=say["measure"] or "reading",
    )


def _channel(connection: Any, device: str, sensor: str | None, unit: str | None) -> int:
    from sqlalchemy import select

    from .models import Channel, Device

    found = connection.execute(
        select(Channel.id)
        .join(Device, Device.id == Channel.device_id)
        .where(Device.name == device, Channel.sensor == sensor, Channel.unit == unit)
    ).scalar()
    if found is None:
        raise NotFound(f"{device} has no channel {sensor} {unit}.", "GET /api/v1/devices lists what there is.")
    return int(found)


@contextmanager
def _database() -> Iterator["Database"]:
    from .database import Database

    settings = Settings.read(os.environ)
    database = Database(settings.database, settings.database_password)
    try:
        database.check_revision()
        yield database
    finally:
        database.close()
