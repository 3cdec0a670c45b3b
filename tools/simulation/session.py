"""One run of the bench: by a person with a table and keys, or by a scenario with a proof at its end."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from backend.errors import Unavailable
from backend.run import umqtt
from backend.run.device import program

from . import proof, scenario, table
from .device import Device, Identity, Sampling
from .keys import Keys
from .network import Network
from .place import Place

TICK = 0.1
DEGREES = 0.5


@dataclasses.dataclass(frozen=True)
class Wish:
    devices: int
    interval: float
    seed: int
    faults: float
    folder: Path
    scenario: Path | None
    timeout: float


class Ended(Exception):
    """The user asked for the end."""


def run(wish: Wish, place: Place, as_json: bool) -> int:
    """The exit code. Raises ThermographError: what could not be tried, or did not come true."""
    script = scenario.read(wish.scenario) if wish.scenario else None
    console = Console(stderr=as_json)
    with _ending(), bench(wish, place) as (devices, on):
        title = f"{len(devices)} device{'s' if len(devices) > 1 else ''} on {on}"
        note = f"broker {place.host}:{place.port}"
        try:
            if script is None:
                _by_hand(console, devices, title, note)
                return 0
            console.print(f"[bold]{escape(script.name)}[/]  [dim]{title}, {note}[/]")
            _play(console, script, devices, wish.timeout)
            proven = _prove(console, devices, place, wish.timeout)
        except (Ended, KeyboardInterrupt):
            return 0 if script is None else 130
    if as_json:
        sums = {"devices": len(devices), "sampled": sum(len(device.sampled) for device in devices)}
        click.echo(json.dumps({"scenario": script.name, "proven": proven is not None, **sums}
                              | (dataclasses.asdict(proven) if proven else {})))  # fmt: skip
    return 0


@contextmanager
def bench(wish: Wish, place: Place) -> Iterator[tuple[list[Device], str]]:
    """The devices, started, and what they run on. At the end none of their processes is left."""
    library = umqtt.find(os.environ) or umqtt.fetch()
    names = [f"sim-{number:02}" for number in range(1, wish.devices + 1)]
    place.enrol(names)
    network = Network()
    devices: list[Device] = []
    try:
        on = ""
        for number, name in enumerate(names):
            folder = (wish.folder / name).resolve()
            firmware = program(folder, library.resolve())
            user, password = place.credentials(name)
            who = Identity(name, user, password, place.ca, place.host)
            sampling = Sampling(wish.interval, wish.seed + number, wish.faults)
            devices.append(Device(folder, who, sampling, firmware, network, network.way(place.host, place.port)))
            on = firmware.on
        for device in devices:
            device.start()
        yield devices, on
    finally:
        _stop(devices)
        network.close()


def _stop(devices: Sequence[Device]) -> None:
    for device in devices:
        device.ask_to_stop()
    for device in devices:
        device.stop()


@contextmanager
def _ending() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does: with the devices stopped."""

    def end(*_: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# -- by hand


def _by_hand(console: Console, devices: Sequence[Device], title: str, note: str) -> None:
    chosen: int | None = None
    with Keys() as keys, Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            for key in keys.read(TICK):
                if key == "q":
                    return
                if key == "tab":
                    chosen = _next(chosen, len(devices))
                for device in devices if chosen is None else [devices[chosen]]:
                    _press(device, key)
            for device in devices:
                device.look_after()
            if console.is_terminal:
                height = console.size.height
                live.update(table.render(devices, title, note, chosen, height, keys=True), refresh=True)


def _next(chosen: int | None, count: int) -> int | None:
    """All, the first, the second, ..., the last, all."""
    following = 0 if chosen is None else chosen + 1
    return following if following < count else None


def _press(device: Device, key: str) -> None:
    if key == "up":
        device.warm(DEGREES)
    elif key == "down":
        device.warm(-DEGREES)
    elif key == "w":
        device.set_wifi(not device.wifi)
    elif key == "b":
        device.set_flowing(not device.flowing)
    elif key == "p" and device.powered:
        device.cut_power()
    elif key == "p":
        device.start()


# -- by a scenario


def _play(console: Console, script: scenario.Scenario, devices: Sequence[Device], timeout: float) -> None:
    def tell(step: scenario.Step, seconds: float) -> None:
        console.print(f"  [green]✓[/] {escape(step.text)} [dim]{seconds:.1f} s[/]", highlight=False)

    player = scenario.Player(script, devices, tell)
    deadline = time.monotonic() + timeout
    while not player.advance(time.monotonic()):
        for device in devices:
            device.look_after()
        if time.monotonic() > deadline:
            raise player.failure(timeout)
        time.sleep(TICK)


def _prove(console: Console, devices: Sequence[Device], place: Place, timeout: float) -> proof.Proof | None:
    """None where no database is known."""
    if place.settings is None:
        console.print("  [yellow]-[/] no THERMOGRAPH_DATABASE: what the backend stored was not compared")
        return None
    from backend.database import Database

    begun = time.monotonic()
    for device in devices:
        device.ask_to_stop()
    for device in devices:
        device.set_wifi(True)
        device.set_flowing(True)
        device.rest_from_sampling()
    # A new start: what was said of the outbox before it does not count.
    while behind := [device for device in devices if not device.settled]:
        if time.monotonic() - begun > timeout:
            names = ", ".join(f"{device.name} ({device.depth:,})" for device in behind[:5])
            raise Unavailable(
                f"After {timeout:g} s {len(behind)} devices still hold readings that nobody has acked: {names}.",
                "Is ingest running, and is its enrolment open for these devices?",
            )
        for device in devices:
            device.look_after()
        time.sleep(TICK)
    _stop(devices)
    database = Database(place.settings.database, place.settings.database_password)
    try:
        proven = proof.prove(database, devices)
    finally:
        database.close()
    console.print(
        f"  [green]✓[/] the database holds exactly what was sampled: {proven.sampled:,} readings of "
        f"{proven.devices} devices, each once, with its value [dim]{time.monotonic() - begun:.1f} s[/]",
        highlight=False,
    )
    if proven.unsaid or proven.gaps:
        console.print(
            f"    [dim]and {proven.unsaid} that were on flash when the power went, before the console said so; "
            f"{proven.gaps} seqs in named gaps[/]", highlight=False,
        )  # fmt: skip
    return proven
