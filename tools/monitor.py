"""python -m tools monitor: a board's console and its MQTT traffic on one timeline, secrets masked."""

import contextlib
import datetime
import json
import os
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .board.follow import Lines
    from .board.mask import Mask
    from .board.traffic import Listener

# (Unix seconds, "console" or the device's name, leaf or "", words)
Event = tuple[float, str, str, str]
TURN = 0.1
COLOURS = {"console": "", "telemetry": "cyan", "ack": "green", "status": "magenta", "state": "blue"}


@click.command(context_settings={"max_content_width": 110})
@click.option("--port", metavar="ADDRESS", help="/dev/ttyUSB0, COM3, socket://HOST:PORT, rfc2217://HOST:PORT.")
@click.option("--console/--no-console", default=True, show_default=True, help="Read the board's console.")
@click.option("--mqtt/--no-mqtt", default=True, show_default=True, help="Listen at the backend's broker.")
@click.option("--device", help="Only this device's MQTT traffic.  [default: all]")
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="State folder of the `make run` to listen to.  [default: THERMOGRAPH_... variables, or var]",
)
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long.  [default: at Ctrl-C]")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
def monitor(
    port: str | None,
    console: bool,
    mqtt: bool,
    device: str | None,
    state_dir: Path | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Show what a board prints and what goes over MQTT, in one order, until Ctrl-C.

    \b
        python -m tools monitor                              the board on USB, and all devices' traffic
        python -m tools monitor --no-console --device demo   traffic of one device only

    Telemetry, state and acks are decoded. Passwords of devices, broker and Wi-Fi show as ***, wherever they stand.
    Opening a port may restart the board, as any serial monitor does.
    """
    from backend.errors import SettingsError

    from .board import registering
    from .board.mask import Mask

    if not (console or mqtt):
        raise SettingsError("Nothing is left to be shown.", "Leave one of --no-console and --no-mqtt out.")
    settings = registering.backend_settings(os.environ, state_dir)
    mask = Mask(registering.secrets(settings))
    show = _printer(as_json)
    with contextlib.ExitStack() as stack:
        listener = None
        if mqtt:
            from .board.traffic import Listener

            listener = stack.enter_context(Listener(settings, device))
        lines = stack.enter_context(_opened(port)) if console else None
        end = None if seconds is None else time.monotonic() + seconds
        with contextlib.suppress(KeyboardInterrupt):
            while end is None or time.monotonic() < end:
                for event in turn(lines, listener, mask):
                    show(event)


def turn(lines: "Lines | None", listener: "Listener | None", mask: "Mask") -> Iterator[Event]:
    """What has come; waits TURN seconds at most."""
    from .board.traffic import printable, words

    if lines is not None:
        for line in lines.read():
            yield time.time(), "console", "", printable(mask.text(line))
    if listener is None:
        return
    patience = TURN if lines is None else 0.0
    with contextlib.suppress(queue.Empty):
        while True:
            topic, payload = listener.heard.get(timeout=patience) if patience else listener.heard.get_nowait()
            yield time.time(), *words(topic, payload, mask)
            patience = 0.0


@contextlib.contextmanager
def _opened(port: str | None) -> Iterator["Lines"]:
    """Raises PortFailed."""
    import serial

    from .board import ports
    from .board.errors import PortFailed
    from .board.follow import Lines

    address = port or ports.choose(ports.connected(), None)
    ports.check(address)
    try:
        opened = serial.serial_for_url(address, baudrate=115200, exclusive=True)
    except (OSError, ValueError) as error:
        raise PortFailed(f"{address} cannot be opened.", "Close what else has it open.", str(error)) from None
    with opened:
        yield Lines(opened)


def _printer(as_json: bool) -> Callable[[Event], None]:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)

    def show(event: Event) -> None:
        t, source, leaf, words = event
        if as_json:
            click.echo(json.dumps({"t": round(t, 3), "source": source, "leaf": leaf, "text": words}))
            return
        clock = datetime.datetime.fromtimestamp(t).strftime("%H:%M:%S.%f")[:-3]
        what = f"{source} {leaf}".strip()
        console.print(Text.assemble((f"{clock}  ", "dim"), (f"{what:<24}  ", COLOURS.get(leaf or source, "")), words))

    return show
