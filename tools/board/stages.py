"""A tick and its seconds for each stage, for people; or one JSON object at the end, for scripts."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from backend.errors import ThermographError

from .errors import BoardError
from .mask import Mask

Progress = Callable[[int, int], None]


class Stage:
    """detail: what came of it, shown behind its seconds."""

    def __init__(self) -> None:
        self.detail = ""


class Stages:
    def __init__(self, as_json: bool, mask: Mask) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, quiet=as_json, soft_wrap=True)
        self._as_json = as_json
        self._mask = mask
        self._passed: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def run(self, name: str) -> Iterator[Stage]:
        """A stage that ends with the block; none is noted when it raises."""
        began, stage = time.monotonic(), Stage()
        yield stage
        self.passed(name, time.monotonic() - began, stage.detail)

    def passed(self, name: str, seconds: float, detail: str) -> None:
        detail = self._mask.text(detail)
        self._passed.append({"stage": name, "seconds": round(seconds, 3), "detail": detail})
        self._print(("✓ ", "green"), (f"{name:<13}", "bold"), (f"{seconds:6.1f} s  ", "dim"), (detail, ""))

    def note(self, text: str) -> None:
        self._print((self._mask.text(text), "dim"))

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """A bar in bytes while the block runs; what it gives is called with those done and all."""
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(f"  {what}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        quiet = self._as_json or not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=quiet) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)

    def done(self, result: dict[str, Any], words: str) -> None:
        """result: fields for scripts; words: the same for people."""
        if self._as_json:
            self._dump({"ok": True, **result})
        else:
            self._print(("\n" + self._mask.text(words), "bold"))

    def failed(self, error: ThermographError) -> None:
        """Say where it stopped, what was seen, and what to do next."""
        stage = error.stage if isinstance(error, BoardError) else "backend"
        evidence = self._mask.text(error.evidence) if isinstance(error, BoardError) else ""
        message, advice = self._mask.text(error.message), self._mask.text(error.advice)
        if self._as_json:
            told = {"stage": stage, "message": message, "evidence": evidence, "advice": advice}
            self._dump({"ok": False, "error": told, "exit_code": error.exit_code})
            return
        self._print(("✗ ", "red"), (f"{stage:<13}", "bold"), (message, "red"))
        if evidence:
            self._print((f"  seen: {evidence}", ""))
        self._print((f"  next: {advice}", "bold"))

    def _dump(self, fields: dict[str, Any]) -> None:
        print(self._mask.text(json.dumps({**fields, "stages": self._passed})))

    def _print(self, *parts: tuple[str, str]) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(*parts))
