"""The live table: one line a device."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .device import Device

BARS = "▁▂▃▄▅▆▇█"
DEPTH_CELLS, DEPTH_STEP = 10, 6
ROWS_BESIDE = 8
RIGHT = ">"


def render(
    devices: Sequence[Device], title: str, note: str, chosen: int | None, height: int, keys: bool
) -> RenderableType:
    """chosen: whom the keys mean, None for all. height: lines of the terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for name, width in (("  device", 8), (RIGHT + "°C", 7), ("lately", 24), (RIGHT + "seq", 6), (RIGHT + "acked", 6)):
        _column(table, name, width)
    _column(table, "outbox", DEPTH_CELLS + 6)
    _column(table, "state", 12)
    # Only the last gives way where the terminal is narrow.
    table.add_column("newest event", ratio=1, no_wrap=True, overflow="ellipsis")
    shown = devices[: max(1, height - ROWS_BESIDE)]
    for number, device in enumerate(shown):
        marked = chosen == number
        table.add_row(
            Text(("▸ " if marked else "  ") + device.name, "bold" if marked else ""),
            _value(device),
            Text(sparkline(list(device.values)), "cyan"),
            f"{device.last:,}",
            f"{device.freed:,}",
            _depth(device.depth),
            state(device),
            Text(device.event, "dim"),
        )
    more = [Text(f"  and {len(devices) - len(shown)} more", "dim")] if len(shown) < len(devices) else []
    foot = [Text(), _keys(chosen, devices)] if keys else []
    return Group(Text.assemble((title, "bold"), ("  " + note, "dim")), Text(), table, *more, _sums(devices), *foot)


def _column(table: Table, name: str, width: int) -> None:
    right = name.startswith(RIGHT)
    table.add_column(name.removeprefix(RIGHT), justify="right" if right else "left", min_width=width, no_wrap=True)


def sparkline(values: list[float | None]) -> str:
    """A bar a value, from the lowest to the highest of them (but at least a degree apart); a dot for a fault."""
    known = [value for value in values if value is not None]
    if not known:
        return "·" * len(values)
    low, span = min(known), max(1.0, max(known) - min(known))
    return "".join(
        "·" if value is None else BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))] for value in values
    )


def state(device: Device) -> Text:
    if not device.powered:
        return Text("✕ no power", "red")
    if not device.running:
        return Text("✕ crashed", "bold red")
    if not device.wifi:
        return Text("⊘ Wi-Fi off", "magenta")
    if not device.flowing:
        return Text("≠ blocked", "yellow")
    if not device.connected:
        return Text("○ connecting", "yellow")
    return Text("● online", "green")


def _value(device: Device) -> Text:
    if device.value.startswith("fault:"):
        return Text(device.value.removeprefix("fault:"), "red")
    if not device.value:
        return Text("-", "dim")
    return Text(f"{float(device.value):.2f}", "bold" if 2 <= float(device.value) <= 8 else "bold red")


def _depth(depth: int) -> Text:
    cells = min(DEPTH_CELLS, -(-depth // DEPTH_STEP))
    colour = "green" if cells < 3 else "yellow" if cells < DEPTH_CELLS else "red"
    return Text.assemble(("━" * cells, colour), ("─" * (DEPTH_CELLS - cells), "bright_black"), f" {depth:,}")


def _sums(devices: Sequence[Device]) -> Text:
    sampled, acked = sum(device.last for device in devices), sum(device.freed for device in devices)
    cuts = sum(device.cuts for device in devices)
    parts = [f"{sampled:,} sampled", f"{acked:,} stored", f"{sum(device.depth for device in devices):,} on the devices"]
    parts += [f"{cuts:,} power cut{'s' if cuts > 1 else ''}"] if cuts else []
    return Text("\n  " + " · ".join(parts))


def _keys(chosen: int | None, devices: Sequence[Device]) -> Text:
    whom = "all" if chosen is None else devices[chosen].name
    text = Text("  ")
    for key, what in (
        ("↑ ↓", "temperature"),
        ("w", "Wi-Fi"),
        ("b", "block"),
        ("p", "power"),
        ("tab", whom),
        ("q", "end"),
    ):
        text.append(f" {key} ", "reverse")
        text.append(f" {what}   ", "dim")
    return text
