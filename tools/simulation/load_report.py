"""What `simulate --load` prints: a live table, or a line now and then where nobody looks."""

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .load import Cost, Progress, quantiles

LINE_EVERY = 30.0
MIB = 1024 * 1024


class LoadReport:
    """tell() as often as you like; a context, for the table has to end."""

    def __init__(self, console: Console, devices: int) -> None:
        self._console, self._devices = console, devices
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._said = -LINE_EVERY
        self._peak: dict[str, int] = {}

    def __enter__(self) -> "LoadReport":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def tell(self, now: Progress) -> None:
        for cost in now.costs:
            self._peak[cost.name] = max(self._peak.get(cost.name, 0), cost.memory)
        if self._live:
            self._live.update(self.table(now), refresh=True)
        elif now.elapsed - self._said >= LINE_EVERY:
            self._said = now.elapsed
            self._console.print(self.line(now), highlight=False, soft_wrap=True)

    def line(self, now: Progress) -> str:
        tally = now.tally
        costs = ", ".join(
            f"{cost.name} {cost.memory / MIB:.0f} MiB {_share(cost, now):.1f} % CPU" for cost in now.costs
        )
        return (
            f"{now.elapsed:6.0f} s  {now.phase:<10} {tally.connected:,} connected  {tally.sampled:,} sampled  "
            f"{tally.acked:,} acked  {tally.waiting:,} waiting  {costs}"
        )

    def table(self, now: Progress) -> Table:
        tally = now.tally
        median, most, longest = quantiles(tally.waits)
        table = Table(
            title=f"{self._devices:,} simulated devices", title_style="bold", title_justify="left", show_header=False,
            box=None, padding=(0, 2, 0, 0),
        )  # fmt: skip
        table.add_column(style="dim")
        table.add_column(justify="right")
        table.add_column(style="dim")
        all_on = tally.connected == self._devices
        table.add_row(now.phase, _clock(now.elapsed), "")
        table.add_row("connected", Text(f"{tally.connected:,}", "green" if all_on else "yellow"), _ended(now))
        table.add_row("sampled", f"{tally.sampled:,}", f"{tally.sampled / max(now.elapsed, 1):,.0f} a second")
        table.add_row("stored and acked", Text(f"{tally.acked:,}", "green"), f"{tally.waiting:,} wait on the devices")
        table.add_row("from sample to ack", f"{median:.2f} s", f"median; 99 % within {most:.2f} s, all {longest:.2f} s")
        for cost in now.costs:
            peak = self._peak.get(cost.name, cost.memory) / MIB
            table.add_row(
                cost.name, f"{cost.memory / MIB:,.0f} MiB", f"peak {peak:,.0f}; {_share(cost, now):.1f} % CPU"
            )
        return table


def _share(cost: Cost, now: Progress) -> float:
    """Percent of one core, on average."""
    return 100 * cost.cpu / max(now.elapsed, 1.0)


def _ended(now: Progress) -> str:
    again = now.tally.connects - now.tally.connected
    if not now.tally.refused:
        return "none was ever cut off"
    why, count = now.tally.refused.most_common(1)[0]
    return f"{again:,} connections ended; {count:,}: {why}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
