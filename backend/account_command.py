"""python -m backend account: accounts and keys from a terminal, also when nobody can sign in."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import InputRefused
from .settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

ROLES = click.Choice(["viewer", "operator", "admin"])
STDIN = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input: for scripts. It is never an argument.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")


@click.group()
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The accounts of the `make run` whose state folder this is.",
)
def account(state_dir: Path | None) -> None:
    """Who may sign in, and as what: viewer reads, operator also changes rules and devices, admin also accounts.

    \b
    python -m backend account add anna --role admin
    python -m backend account --state-dir var add ben --role viewer --place kitchen --place cellar
    """
    from .run.environment import load

    if state_dir is not None:
        os.environ.update(load(state_dir))


@account.command()
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True, help="What it may do.")
@click.option(
    "--place", "places", multiple=True, help="See the devices of this place only; may be given several times."
)
@STDIN
def add(name: str, role: str, places: tuple[str, ...], password_stdin: bool) -> None:
    """Add an account; its password is asked for twice."""
    from .accounts import users
    from .accounts.actor import COMMAND, Role

    name = users.normal_name(name)
    hashed = _hashed(name, password_stdin)
    with _changing() as connection:
        users.add(connection, COMMAND, name, Role.named(role), hashed, places or None)
    click.echo(f"{name} may sign in, as {role}.")


@account.command("list")
@JSON
def show(as_json: bool) -> None:
    """List the accounts."""
    from .accounts import users
    from .alerts.sentence import moment

    with _reading() as connection:
        found = users.everyone(connection)
    if as_json:
        click.echo(
            json.dumps([{"name": user.name, "created": user.created, **user.fields()} for user in found], indent=1)
        )
        return
    for user in found:
        places = "everywhere" if user.places is None else ", ".join(sorted(user.places)) or "nowhere"
        state = f"disabled since {moment(user.disabled_at)}" if user.disabled_at else "with codes" if user.totp else ""
        click.echo(f"{user.name:24} {user.role.word:9} {places:24} {state}".rstrip())
    if not found:
        click.echo("There is no account yet: python -m backend account add NAME --role admin")


@account.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Remove an account with its sessions and keys. The audit log keeps its name."""
    from .accounts import users
    from .accounts.actor import COMMAND

    if not yes:
        click.confirm(f"Remove {name}, with its sessions and keys?", abort=True)
    with _changing() as connection:
        users.remove(connection, COMMAND, users.named(connection, name))
    click.echo(f"{name} is removed.")


@account.command()
@click.argument("name")
@click.argument("role", type=ROLES)
@click.option("--place", "places", multiple=True, help="From now on these places only; may be given several times.")
@click.option("--everywhere", is_flag=True, help="From now on all places.")
@click.option("--disable/--enable", "disabled", default=None, help="Lock it out, or let it in again.")
def role(name: str, role: str, places: tuple[str, ...], everywhere: bool, disabled: bool | None) -> None:
    """Change what an account may do, and which places it sees."""
    from .accounts import users
    from .accounts.actor import COMMAND, Role

    with _changing() as connection:
        user = users.named(connection, name)
        seen = None if everywhere else places or user.places
        off = user.disabled_at is not None if disabled is None else disabled
        users.change(connection, COMMAND, user, role=Role.named(role), places=seen, disabled=off)
    click.echo(f"{name} is {role}{', and disabled' if off else ''}.")


@account.command("reset-password")
@click.argument("name")
@click.option("--codes-off", is_flag=True, help="Also ask for no code any more: the phone is lost.")
@STDIN
def reset_password(name: str, codes_off: bool, password_stdin: bool) -> None:
    """Give an account a new password, and sign it out everywhere."""
    from .accounts import totp, users
    from .accounts.actor import COMMAND

    with _reading() as connection:
        user = users.named(connection, name)
    hashed = _hashed(user.name, password_stdin)
    with _changing() as connection:
        users.set_password(connection, COMMAND, user, hashed)
        if codes_off and user.totp:
            totp.turn_off(connection, COMMAND, user)
    click.echo(f"{name} has a new password, and is signed out everywhere.")


@account.command()
@click.argument("name", required=False)
@click.option("--add", "purpose", metavar="PURPOSE", help="Make a key for this; it is printed once.")
@click.option("--scope", "scopes", multiple=True, help="What it may be used for; may be given several times.")
@click.option("--revoke", metavar="PREFIX", help="Revoke the key that begins so.")
@JSON
def keys(name: str | None, purpose: str | None, scopes: tuple[str, ...], revoke: str | None, as_json: bool) -> None:
    """List the keys of programs (of one account, if named); make one, or revoke one.

    \b
    python -m backend account keys anna --add "nightly export" --scope readings:read
    python -m backend account keys --revoke k3v9w2xq7a
    """
    from .accounts import keys as kept
    from .accounts import users
    from .accounts.actor import COMMAND

    if purpose is not None and name is None:
        raise click.UsageError("Name the account that the key is for.")
    with _changing() as connection:
        user = users.named(connection, name) if name else None
        if purpose is not None and user is not None:
            _, text = kept.add(connection, COMMAND, user.id, purpose, scopes)
            click.echo(text)
            return
        found = kept.of_user(connection, user.id if user else None)
        if revoke is not None:
            _revoke(connection, found, revoke)
            return
        names = {one.id: one.name for one in users.everyone(connection)}
    _list_keys(found, names, as_json)


def _revoke(connection: "Connection", found: list[Any], prefix: str) -> None:
    from .accounts import keys as kept
    from .accounts.actor import COMMAND

    chosen = [key for key in found if key.prefix == prefix]
    if not chosen:
        raise InputRefused(f"There is no key {prefix}.", "python -m backend account keys lists them.")
    kept.revoke(connection, COMMAND, chosen[0].id)
    click.echo(f"{prefix} is revoked.")


def _list_keys(found: list[Any], names: dict[int, str], as_json: bool) -> None:
    from .alerts.sentence import moment

    if as_json:
        shapes = [
            {
                "prefix": key.prefix,
                "account": names.get(key.user_id),
                "name": key.name,
                "scopes": sorted(key.scopes),
                "created": key.created,
                "expires": key.expires,
                "used": key.used,
                "revoked": key.revoked_at,
            }
            for key in found
        ]
        click.echo(json.dumps(shapes, indent=1))
        return
    for key in found:
        state = "revoked" if key.revoked_at else f"used {moment(key.used)}" if key.used else "never used"
        click.echo(
            f"{key.prefix}  {names.get(key.user_id, '?'):16} {key.name:24} {' '.join(sorted(key.scopes))}  {state}"
        )


def _hashed(name: str, from_stdin: bool) -> str:
    """Of a password that is asked for twice, or one line of standard input. Raises InputRefused."""
    from .accounts.passwords import Passwords, check_choice

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt="The same once more")
    check_choice(password, name)
    return Passwords(Settings.read(os.environ).password_memory).hash(password)


@contextmanager
def _changing() -> Iterator["Connection"]:
    with _database() as database, database.write() as connection:
        yield connection


@contextmanager
def _reading() -> Iterator["Connection"]:
    with _database() as database, database.read() as connection:
        yield connection


@contextmanager
def _database() -> Iterator[Any]:
    from .database import Database

    settings = Settings.read(os.environ)
    database = Database(settings.database, settings.database_password)
    try:
        database.check_revision()
        yield database
    finally:
        database.close()
