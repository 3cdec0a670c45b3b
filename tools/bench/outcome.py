"""What a benchmark measured, as a table or as JSON: medians of rounds that were run side by side, and the goals."""

import json
import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goal:
    """reached: what was measured; limit: at least so much, or at most if `at_most`."""

    name: str
    reached: float
    limit: float
    at_most: bool = False

    @property
    def passed(self) -> bool:
        return self.reached <= self.limit if self.at_most else self.reached >= self.limit


@dataclass
class Outcome:
    """seconds: what was timed → one figure a round. facts: what else there is to know, by name."""

    title: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, float | int | str] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)

    def add(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> float:
        """Median over the rounds of how many times as quick `slow` was as `fast`: 0.5 is half as quick."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return statistics.median(quick / slow_one for slow_one, quick in pairs)

    def as_json(self) -> str:
        return json.dumps(
            {
                "benchmark": self.title,
                "seconds": {name: {"median": self.median(name), "rounds": all} for name, all in self.seconds.items()},
                "facts": self.facts,
                "goals": [{**vars(goal), "passed": goal.passed} for goal in self.goals],
            }
        )

    def show(self, unit: float = 1.0, unit_name: str = "s") -> None:
        """Print the tables. unit: seconds of one unit of time."""
        from rich.console import Console
        from rich.table import Table

        console = Console()
        table = Table("", f"median, {unit_name}", "least", "most", title=self.title)
        for name, rounds in self.seconds.items():
            figures = (self.median(name), min(rounds), max(rounds))
            table.add_row(name, *(f"{figure / unit:,.2f}" for figure in figures))
        console.print(table if self.seconds else self.title)
        for name, fact in self.facts.items():
            console.print(f"{name}: {fact:,.2f}" if isinstance(fact, float) else f"{name}: {fact}")
        goals = Table("goal", "wanted", "reached", "")
        for goal in self.goals:
            wanted = f"{'<=' if goal.at_most else '>='} {goal.limit:g}"
            goals.add_row(goal.name, wanted, f"{goal.reached:.2f}", "pass" if goal.passed else "MISS")
        if self.goals:
            console.print(goals)
