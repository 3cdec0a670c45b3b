"""python -m tools provision: devices that the backend knows before their boards are flashed."""

import csv
import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from backend.devices import Registration

    from .board.home import Broker

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MOST = 10_000


@dataclasses.dataclass(frozen=True)
class Row:
    """One device of the CSV. mac: "" where no board is known yet; interval: seconds, or None."""

    name: str
    mac: str
    interval: float | None


@click.command(context_settings={"max_content_width": 110})
@click.argument("name", required=False)
@click.option("--mac", default="", help="MAC address of its board: 24:0a:c4:00:01:10.")
@click.option(
    "--csv", "table", type=FILE, help="Many devices: a file with the columns name, mac, interval; mac may be empty."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write NAME.json, the device's settings.json with its password (mode 600), into this folder.",
)
@click.option(
    "--labels", type=click.Path(dir_okay=False, path_type=Path), help="Write a label sheet: FILE.pdf or FILE.png."
)
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="State folder of the `make run` that they belong to.  [default: THERMOGRAPH_... variables, or var]",
)
@click.option("--broker", metavar="URL", help="mqtt[s]://HOST:PORT as boards reach it.  [default: the backend's]")
@click.option("--ca", type=FILE, help="Who signed the broker's certificate, PEM: for mqtts://.")
@click.option("--url", help="The web page's address, as people reach it.  [default: where it listens]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def provision(
    name: str | None,
    mac: str,
    table: Path | None,
    out: Path | None,
    labels: Path | None,
    state_dir: Path | None,
    broker: str | None,
    ca: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Make device records and credentials; write settings files and a label sheet, if wanted.

    \b
        python -m tools provision fridge-1 --labels fridge-1.png
        python -m tools provision --csv fridges.csv --out settings --labels labels.pdf

    To do it again changes nothing. A device without a MAC address becomes the board's that is flashed with its name:
    `python -m tools flash --name fridge-1`. Passwords go into the files of --out only, never onto the screen.
    """
    from backend.errors import SettingsError

    from .board import home, registering
    from .board import labels as sheet

    if (name is None) == (table is None):
        raise SettingsError("Which device?", "Give a NAME, or --csv FILE.")
    rows = [row_of({"name": name or "", "mac": mac}, "the command line")] if table is None else read_table(table)
    if labels is not None:
        sheet.check(labels)
    settings = registering.backend_settings(os.environ, state_dir)
    reached = home.broker(broker or settings.broker, ca) if out is not None else None
    made = [(row, *registering.register(settings, row.name, row.mac)) for row in rows]
    pages = {row.name: registering.device_page(settings, url, row.name) for row in rows}
    if out is not None and reached is not None:
        for row, device, _ in made:
            _write_settings(out, row, device, reached)
    if labels is not None:
        sheet.write(labels, [sheet.Label(row.name, pages[row.name]) for row in rows])
    _report([(device, new) for _, device, new in made], pages, as_json)


def read_table(file: Path) -> list[Row]:
    """All of them, before any is registered. Raises SettingsError, naming the line."""
    from backend.errors import SettingsError

    try:
        lines = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{file} cannot be read as CSV: {error}.") from None
    if not lines or "name" not in lines[0]:
        raise SettingsError(f"{file} has no column `name`, or no lines.", "Its first line is: name,mac,interval")
    if len(lines) > MOST:
        raise SettingsError(f"{file} has over {MOST:,} lines.", "Cut it into several.")
    rows = [row_of(line, f"{file}, line {number}") for number, line in enumerate(lines, 2)]
    for field in ("name", "mac"):
        values = [getattr(row, field) for row in rows if getattr(row, field)]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise SettingsError(f"{file} has the {field} {twice[0]} twice.", "Each device is one line.")
    return rows


def row_of(fields: dict[str, Any], where: str) -> Row:
    """Raises SettingsError, naming where the fields stand."""
    from backend.devices import NAME, mac_address
    from backend.errors import SettingsError

    name, mac, interval = ((fields.get(field) or "").strip() for field in ("name", "mac", "interval"))
    if not NAME.fullmatch(name):
        raise SettingsError(f"{where}: {name!r} is no device name.", "It takes 1 to 64 of a-z, 0-9 and -.")
    try:
        seconds = float(interval) if interval else None
        address = mac_address(mac) if mac else ""
    except SettingsError as error:
        raise SettingsError(f"{where}: {error.message}", error.advice) from None
    except ValueError:
        seconds, address = -1.0, ""
    if seconds is not None and not 0.001 <= seconds <= 86400:
        raise SettingsError(f"{where}: the interval {interval!r} is none.", "It takes seconds, up to 86400.")
    return Row(name, address, seconds)


def _write_settings(out: Path, row: Row, device: "Registration", broker: "Broker") -> None:
    from backend import private

    from .board import home

    more = {} if row.interval is None else {"interval": row.interval}
    fields = home.board_settings({}, more, row.name, broker.fields(row.name, device.password), None)
    private.write(out / f"{row.name}.json", json.dumps(fields, indent=1) + "\n")


def _report(made: list[tuple["Registration", bool]], pages: dict[str, str], as_json: bool) -> None:
    new = sum(is_new for _, is_new in made)
    if as_json:
        devices = [{"device": one.name, "mac": one.mac, "new": is_new, "page": pages[one.name]} for one, is_new in made]
        click.echo(json.dumps({"ok": True, "devices": devices}))
        return
    for device, is_new in made:
        board = device.mac or "no board yet"
        click.echo(f"{device.name}  {board}  {'new' if is_new else 'known already'}  {pages[device.name]}")
    click.echo(f"{new} new, {len(made) - new} known already.")
