"""Seeded bugs: NAME.bug has a sentence, `file FILE`, `test TEST` which finds it, then pairs of old and new text."""

from pathlib import Path
from typing import NamedTuple


class Bug(NamedTuple):
    """changes: [(old, new)]; file: relative to what is copied."""

    name: str
    about: str
    file: str
    test: str
    changes: list[tuple[str, str]]


def read(folder: Path) -> list[Bug]:
    """Every bug of a folder, by name."""
    return [parse(path) for path in sorted(folder.glob("*.bug"))]


def parse(path: Path) -> Bug:
    head, *changes = path.read_text(encoding="utf-8").split("--- old\n")
    about, file, test = head.splitlines()
    pairs = []
    for change in changes:
        old, new = change.removesuffix("\n").split("\n--- new\n")
        pairs.append((old, new))
    return Bug(path.stem, about, file.removeprefix("file "), test.removeprefix("test "), pairs)


def plant(bug: Bug, folder: Path) -> None:
    """Change this copy. A text that is not there exactly once is no bug any more: mend its file."""
    path = folder / bug.file
    text = path.read_text(encoding="utf-8")
    for old, new in bug.changes:
        count = text.count(old)
        assert count == 1, f"{bug.name}: in {bug.file} this is {count} times: {old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
