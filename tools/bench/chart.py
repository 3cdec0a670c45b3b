"""Charts of the benchmarks as PNG, by matplotlib (extra `bench`). It is imported only when a chart is wanted."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .outcome import Outcome

GREEN, RED, GREY, INK = "#2b8a6e", "#c2410c", "#9aa5b1", "#20303c"
DPI = 120

chart_option: Callable[..., Any] = click.option(
    "--chart", type=click.Path(path_type=Path, dir_okay=False), help="Write a chart of it to this PNG file."
)


def pyplot() -> Any:
    """matplotlib.pyplot without a display. Raises ClickException, naming the extra, where it is not installed."""
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
    except ModuleNotFoundError:
        raise click.ClickException("--chart needs matplotlib: pip install 'thermograph[bench]' or matplotlib") from None
    matplotlib.use("Agg")
    matplotlib.rcParams |= {
        "figure.facecolor": "white",
        "axes.facecolor": "white",
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "font.size": 9,
    }
    return importlib.import_module("matplotlib.pyplot")


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    pyplot().close(figure)


def draw_outcome(outcome: "Outcome", path: Path, unit: float = 1.0, unit_name: str = "s") -> None:
    """What was timed as bars (the median; a dot a round), and below each goal, reached ÷ wanted, beside its line."""
    plots = pyplot()
    names, goals = list(outcome.seconds), [goal for goal in outcome.goals if goal.limit]
    heights = [len(names) or 0.01, len(goals) or 0.01]
    figure, (times, reached) = plots.subplots(
        2, 1, figsize=(9, 0.42 * sum(heights) + 2.2), gridspec_kw={"height_ratios": heights}
    )
    figure.suptitle(outcome.title, color=INK, fontsize=10)
    for place, name in enumerate(reversed(names)):
        rounds = [seconds / unit for seconds in outcome.seconds[name]]
        median = outcome.median(name) / unit
        times.barh(place, median, color=GREEN, height=0.6)
        times.plot(rounds, [place] * len(rounds), ".", color=INK, markersize=4)
        times.text(max(rounds), place, f"  {median:,.3g} {unit_name}", va="center", color=INK)
    times.set_yticks(range(len(names)), list(reversed(names)))
    times.set_xlabel(f"{unit_name}; bar: median, dots: rounds")
    times.margins(x=0.14)
    _draw_goals(reached, goals)
    save(figure, path)


def _draw_goals(axes: Any, goals: Sequence[Any]) -> None:
    for place, goal in enumerate(reversed(goals)):
        ratio = goal.reached / goal.limit
        wanted = f"{'≤' if goal.at_most else '≥'} {goal.limit:g}"
        axes.barh(place, ratio, color=GREEN if goal.passed else RED, height=0.6)
        axes.text(ratio, place, f"  {goal.reached:.3g} (wanted {wanted})", va="center", color=INK)
    axes.set_yticks(range(len(goals)), [goal.name for goal in reversed(goals)])
    axes.axvline(1.0, color=INK, linewidth=1, linestyle="--")
    axes.set_xlabel("reached ÷ wanted; the dashed line is the goal")
    axes.margins(x=0.3)
