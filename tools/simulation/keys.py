"""Single key presses from a terminal."""

import os
import select
import sys
from types import TracebackType
from typing import Any

NAMES = {"\x1b[A": "up", "\x1b[B": "down", "\t": "tab"}


class Keys:
    """A context in which read() gives what was pressed; without a POSIX terminal on stdin it only waits."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def __enter__(self) -> "Keys":
        if os.name == "posix" and sys.stdin.isatty():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def read(self, seconds: float) -> list[str]:
        """The names of the keys that were pressed within so many seconds; returns with the first."""
        if self._before is None:
            select.select([], [], [], seconds)
            return []
        if not select.select([sys.stdin], [], [], seconds)[0]:
            return []
        return split(os.read(sys.stdin.fileno(), 256).decode("utf-8", "replace"))


def split(text: str) -> list[str]:
    """Arrows and tab by name, letters as they are."""
    keys = []
    while text:
        size = 3 if text[:3] in NAMES else 1
        keys.append(NAMES.get(text[:size], text[:size]))
        text = text[size:]
    return keys
