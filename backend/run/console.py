"""What `run` prints. Colours on a terminal; plain lines into a pipe or a file."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import rich.console
from rich.text import Text


class Console:
    def __init__(self) -> None:
        # soft_wrap: a line is a line, however narrow the terminal; no guessing of colours in what services say.
        self._rich = rich.console.Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._lock = threading.Lock()
        self._lively = self._rich.is_terminal
        try:
            "✓✗".encode(sys.stdout.encoding or "ascii")
            self._tick, self._cross = "✓", "✗"
        except UnicodeEncodeError:
            self._tick, self._cross = "ok", "!!"

    def note(self, text: str) -> None:
        self._print((text, "dim"))

    def ready(self, name: str, about: str, seconds: float) -> None:
        self._print((f"{self._tick} ", "green"), (f"{name:<8}", "bold"), (f"{seconds:5.1f} s  ", "dim"), about)

    def up(self, url: str, seconds: float) -> None:
        self._print()
        self._print("Thermograph is up ", (f"({seconds:.1f} s)", "dim"), ": ", (url, "bold underline cyan"))
        self._print(("Ctrl-C stops it. Readings follow, as the device takes them.", "dim"))
        self._print()

    def reading(self, device: str, time: str, channel: str, value: str, unit: str, seq: str) -> None:
        shown = (f"{value:>8} {unit}", "bold") if not value.startswith("fault:") else (f"{value:>12}", "yellow")
        self._print((f"{time}  {device}/", "dim"), channel, shown, (f"  #{seq}", "dim"))

    def device(self, device: str, time: str, text: str) -> None:
        self._print((f"{time}  {device}  ", "dim"), text)

    def died(self, name: str, code: int, words: Sequence[str], log: Path, delay: float) -> None:
        self._print(
            (f"{self._cross} ", "red"),
            (name, "bold"),
            f" ended by itself ({_end(code)}). Again in {delay:g} s. Log: {log}",
        )
        for line in words:
            self._print((f"    {line}", "dim"))

    def stopping(self) -> None:
        self._print()
        self._print(("Stopping ...", "dim"))

    def killed(self, name: str) -> None:
        self._print((f"{self._cross} ", "red"), (name, "bold"), " did not stop in time and was killed.")

    def stopped(self) -> None:
        self._print("All stopped. The next run goes on with the same data.")

    def _print(self, *parts: str | tuple[str, str]) -> None:
        with self._lock:
            self._rich.print(Text.assemble(*parts))
            self._rich.file.flush()


def _end(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
