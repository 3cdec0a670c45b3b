"""The archive's daily manifest: what was written and what was replaced since the one before, whose SHA-256 it holds.

So the manifests are a chain: whoever changes one has to change every later one. Pure: bytes in, values out.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

FOLDER = "manifest/"
VERSION = 1


@dataclass(frozen=True, order=True)
class Entry:
    """An object. readings: how many; digest: the sum of their SHA-256 modulo 2^256, as parquet.DayDigest has it."""

    key: str
    size: int
    sha256: str
    readings: int
    digest: int


@dataclass(frozen=True)
class Manifest:
    """number: 1, 2, 3, ...; made: Unix ms; previous: SHA-256 of the bytes of the one before, "" for the first.

    through: the last day whose objects are all in the chain, but for the days in `open`.
    replaced: (key of an object, key of the one that holds all it held and stays).
    """

    number: int
    made: int
    previous: str
    through: str
    open: tuple[str, ...] = ()
    added: tuple[Entry, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        return f"{FOLDER}{self.number:08d}.json"

    def encode(self) -> bytes:
        told = {
            "v": VERSION,
            "number": self.number,
            "made": self.made,
            "previous": self.previous,
            "through": self.through,
            "open": list(self.open),
            "added": [{**vars(entry), "digest": f"{entry.digest:064x}"} for entry in self.added],
            "replaced": [{"key": key, "by": by} for key, by in self.replaced],
        }
        return json.dumps(told, separators=(",", ":")).encode()


def decode(body: bytes) -> Manifest:
    """Raises ValueError when it is no manifest that `encode` made."""
    try:
        told: dict[str, Any] = json.loads(body)
        manifest = Manifest(
            int(told["number"]),
            int(told["made"]),
            str(told["previous"]),
            str(told["through"]),
            tuple(told["open"]),
            tuple(Entry(**{**entry, "digest": int(entry["digest"], 16)}) for entry in told["added"]),
            tuple((each["key"], each["by"]) for each in told["replaced"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"no manifest: {type(error).__name__} {error}") from None
    if manifest.encode() != body:
        raise ValueError("no manifest of this version")
    return manifest


@dataclass
class Contents:
    """What the chain says is in the archive, after its last manifest.

    live: key → entry. replaced: key → (the key that took its place, Unix ms of the manifest that says so): such an
    object may still be there.
    """

    number: int = 0
    made: int = 0
    head: str = ""
    through: str = ""
    open: tuple[str, ...] = ()
    live: dict[str, Entry] = field(default_factory=dict)
    replaced: dict[str, tuple[str, int]] = field(default_factory=dict)

    def follow(self, manifest: Manifest, body: bytes) -> None:
        """Take in the next manifest, whose bytes these are."""
        self.number, self.made, self.head = manifest.number, manifest.made, hashlib.sha256(body).hexdigest()
        self.through, self.open = manifest.through, manifest.open
        self.live.update((entry.key, entry) for entry in manifest.added)
        for key, by in manifest.replaced:
            self.live.pop(key, None)
            self.replaced[key] = by, manifest.made

    def next(
        self, made: int, through: str, open_: Iterable[str], added: Iterable[Entry], replaced: Iterable[tuple[str, str]]
    ) -> Manifest:
        """The next manifest: of these entries, those that the chain does not have yet."""
        draft = Manifest(self.number + 1, made, self.head, max(through, self.through), tuple(sorted(open_)))
        return replace(
            draft,
            # What somebody else has replaced meanwhile does not come back.
            added=tuple(sorted(e for e in added if self.live.get(e.key) != e and e.key not in self.replaced)),
            replaced=tuple(sorted(pair for pair in replaced if pair[0] not in self.replaced)),
        )

    def survivor(self, key: str) -> str:
        """The key that holds today what this one held."""
        passed = {key}
        while key in self.replaced and (by := self.replaced[key][0]) not in passed:
            passed.add(by)
            key = by
        return key

    def sealed(self, day: str) -> bool:
        """Whether every object of the day should be in the chain."""
        return day <= self.through and day not in self.open
