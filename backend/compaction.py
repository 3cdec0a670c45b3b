"""Compaction: a day's many objects become one, and the day is sealed in the chain of manifests.

From S3 alone: where there is SQL too, it follows. The whole of a day is the union of what its objects hold, whatever
they are: whoever makes it, and however often, makes the same one. Nothing is removed before the whole was read back,
SQL names it, and the manifest says so. So it may be killed at any step, and run twice at once.
"""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from . import chain, failpoints
from .catalog import Catalog, Whole
from .errors import NotFound, Unavailable, VerificationFailed
from .freezing import now
from .hot_window import DAY, day_of
from .manifest import Contents, Entry
from .objects import ObjectStore, StoredObject
from .parquet import ArchivedGap, Readings, decode, encode, union

log = logging.getLogger(__name__)

HOUR = 3_600_000
# Exports and `verify` that began before may still want a day's old objects.
REMOVE_AFTER = HOUR
POLL = 60.0
LONGEST_RETRY = 600.0


@dataclass(frozen=True)
class Part:
    """An object as it was read: its bytes are those that its name is made of."""

    key: str
    size: int
    sha256: str
    readings: Readings
    gaps: frozenset[ArchivedGap]

    def entry(self) -> Entry:
        return Entry(self.key, self.size, self.sha256, len(self.readings), self.readings.digest())


@dataclass
class Report:
    """What a run did. joined: days that became one object; manifest: the chain's last number after it.

    open: days that are left as they are until the next run; troubles: what somebody has to look at.
    """

    days: int = 0
    joined: int = 0
    removed: int = 0
    manifest: int = 0
    head: str = ""
    open: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


@dataclass
class _Night:
    """A run so far. contents: of the chain before it; added, replaced: for its manifest."""

    contents: Contents
    report: Report = field(default_factory=Report)
    added: list[Entry] = field(default_factory=list)
    replaced: list[tuple[str, str]] = field(default_factory=list)


class _Changed(Exception):
    """Somebody else joined the day, or added to it, while we read it."""


class Compaction:
    def __init__(
        self,
        store: ObjectStore,
        catalog: Catalog | None = None,
        remove_after: int = REMOVE_AFTER,
        clock: Callable[[], int] = now,
    ) -> None:
        """catalog: SQL's; None: S3 is all there is. remove_after: ms that replaced objects stay. clock: Unix ms."""
        self._store = store
        self._catalog = catalog
        self._remove_after = remove_after
        self._clock = clock

    def run(self, through: str) -> Report:
        """Make one object of each day up to and with `through`, seal them, remove what was replaced long enough ago.

        Holds one day in memory. Raises DatabaseUnavailable, ObjectStoreUnavailable; VerificationFailed when the chain
        itself is broken: nothing is done then.
        """
        night = _Night(chain.load(self._store))
        report = night.report
        for day, entries in chain.days(self._store, through).items():
            report.days += 1
            try:
                self._compact(day, {entry.key for entry in entries}, night)
            except (_Changed, NotFound) as change:
                # The next run takes it.
                log.info("%s has changed meanwhile: %s", day, change)
                report.open.append(day)
            except VerificationFailed as error:
                report.open.append(day)
                report.troubles.append(f"{day} stays as it is: {error.message}")
        contents = chain.append(
            self._store, night.contents, self._clock(), through, report.open, night.added, night.replaced
        )
        failpoints.reach("compact.sealed")
        report.removed = self._sweep(contents)
        report.manifest, report.head = contents.number, contents.head
        return report

    def sweep(self) -> int:
        """Remove the objects that were replaced long enough ago; how many. Raises as run() does."""
        return self._sweep(chain.load(self._store))

    def _compact(self, day: str, there: set[str], night: "_Night") -> None:
        """there: keys of the day's objects. Raises NotFound and _Changed when somebody else is at the day."""
        fresh = _fresh(there, night.contents)
        known = fresh if self._catalog is None else self._catalog.keys(day)
        if known is None:
            night.report.open.append(day)
            return
        if known == fresh and len(fresh) == 1 and fresh <= night.contents.live.keys():
            return
        # What SQL names now must be looked for now.
        entries = chain.of_day(self._store, day)
        named = self._named(day, {entry.key for entry in entries}, known, night.contents)
        parts = [self._read(entry) for entry in entries]
        readings, gaps = _join([part for part in parts if part.key in named])
        ours, strangers = _told_apart(parts, named, readings, gaps)
        if strangers and self._catalog is not None and self._catalog.keys(day) != known:
            raise _Changed("SQL names other objects now")
        night.report.troubles += [
            f"{part.key} is in S3, but no batch wrote it: it is left alone." for part in strangers
        ]
        if not ours:
            night.report.open.append(day)
            return
        whole = self._whole(day, ours, readings, gaps)
        if self._catalog is not None and not self._catalog.replace(
            Whole(day, whole.key, whole.size, whole.sha256, whole.readings), known
        ):
            raise _Changed("SQL names other objects now")
        night.added.append(whole.entry())
        night.replaced += [(part.key, whole.key) for part in ours if part.key != whole.key]
        if len(ours) > 1:
            night.report.joined += 1
            log.info("%s: %d objects are one, %s, with %d readings", day, len(ours), whole.key, len(readings))

    def _named(self, day: str, there: set[str], known: set[str], contents: Contents) -> set[str]:
        """The objects that hold the day. Raises VerificationFailed when one is missing, _Changed."""
        if self._catalog is None:
            return _fresh(there, contents)
        # What SQL still names by its parts may have been joined from S3 alone.
        named = {key if key in there else contents.survivor(key) for key in known}
        if missing := sorted(named - there):
            if self._catalog.keys(day) != known:
                raise _Changed("SQL names other objects now")
            raise VerificationFailed(f"{missing[0]} is not in S3.")
        return named

    def _whole(self, day: str, parts: list[Part], readings: Readings, gaps: frozenset[ArchivedGap]) -> Part:
        """The one object of the day, made if there is none, and read back."""
        failpoints.reach("compact.joined")
        # Of several that have it all, everybody has to choose the same one.
        complete = [part for part in parts if len(part.readings) == len(readings) and part.gaps == gaps]
        if complete:
            key = min(part.key for part in complete)
        else:
            body = encode(readings, gaps)
            key = f"day={day}/{hashlib.sha256(body).hexdigest()[:32]}{chain.SUFFIX}"
            self._store.put(key, body)
        failpoints.reach("compact.put")
        whole = self._read(StoredObject(key, 0))
        if whole.readings != readings or whole.gaps != gaps or whole.readings.digest() != readings.digest():
            raise VerificationFailed(f"{key} does not hold what the objects of {day} held.")
        failpoints.reach("compact.checked")
        return whole

    def _read(self, entry: StoredObject) -> Part:
        body = self._store.get(entry.key)
        sha256 = hashlib.sha256(body).hexdigest()
        if not chain.named_after(entry.key, sha256):
            raise VerificationFailed(f"{entry.key} was altered: its SHA-256 is {sha256}.")
        try:
            readings, gaps = decode(body)
        except ValueError as error:
            raise VerificationFailed(f"{entry.key}: {error}.") from error
        return Part(entry.key, len(body), sha256, readings, frozenset(gaps))

    def _sweep(self, contents: Contents) -> int:
        """Remove what the chain calls replaced, if what replaced it is there and SQL names it no more."""
        proven: set[str] = set()
        removed = 0
        for day, entries in chain.days(self._store).items():
            due = [entry.key for entry in entries if self._is_due(contents, entry.key)]
            if not due:
                continue
            known = set() if self._catalog is None else self._catalog.keys(day)
            for key in due:
                by = contents.survivor(key)
                if by == key or known is None or key in known or not self._proven(contents, by, proven):
                    continue
                self._store.delete(key)
                failpoints.reach("compact.removed")
                removed += 1
        return removed

    def _is_due(self, contents: Contents, key: str) -> bool:
        since = contents.replaced.get(key, ("", 0))[1]
        return bool(since) and self._clock() - since >= self._remove_after

    def _proven(self, contents: Contents, key: str, proven: set[str]) -> bool:
        if key not in proven and key in contents.live:
            try:
                if hashlib.sha256(self._store.get(key)).hexdigest() == contents.live[key].sha256:
                    proven.add(key)
            except NotFound:
                log.error("%s is not in S3: what it was made of stays. `python -m tools chain` says more.", key)
        return key in proven


def due_through(at: int, after: int) -> str:
    """The last UTC day that ended at least `after` ms before the Unix time `at`."""
    return day_of(at - after - DAY)


def serve(work: Compaction, store: ObjectStore, after: int, stop: threading.Event) -> None:
    """Run once for each day that ends, `after` ms after its end, and remove what may go; until stop is set."""
    delay, swept = 0.0, time.monotonic()
    done = None
    while not stop.wait(delay):
        try:
            through = due_through(now(), after)
            if done is None:
                done = chain.load(store).through
            if done < through:
                tell(work.run(through))
                done, swept = through, time.monotonic()
            elif time.monotonic() - swept >= HOUR / 1000:
                work.sweep()
                swept = time.monotonic()
            delay = POLL
        except (Unavailable, VerificationFailed) as error:
            delay = min(max(delay, POLL) * 2, LONGEST_RETRY) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
            log.warning("%s Trying again in %.0f s.", error, delay)


def tell(report: Report) -> None:
    """As lines of the log."""
    for trouble in report.troubles:
        log.error("%s `python -m tools verify` and `python -m tools chain` say more.", trouble)
    log.info(
        "%d days: %d became one object, %d objects removed, %d days wait; manifest %d, SHA-256 %s",
        *(report.days, report.joined, report.removed, len(report.open), report.manifest, report.head),
    )


def _fresh(there: set[str], contents: Contents) -> set[str]:
    """Those that nothing replaced yet; all, if what replaced them is gone."""
    return there - contents.replaced.keys() or there


def _join(parts: list[Part]) -> tuple[Readings, frozenset[ArchivedGap]]:
    try:
        return union([part.readings for part in parts]), frozenset(gap for part in parts for gap in part.gaps)
    except ValueError as error:
        raise VerificationFailed(f"{error}.") from error


def _told_apart(
    parts: list[Part], named: set[str], readings: Readings, gaps: frozenset[ArchivedGap]
) -> tuple[list[Part], list[Part]]:
    """(the named ones, and those that hold nothing else than these readings and gaps; those that do)."""
    ours: list[Part] = []
    strangers: list[Part] = []
    for part in parts:
        try:
            adds = part.key not in named and (
                not part.gaps <= gaps or len(union([readings, part.readings])) != len(readings)
            )
        except ValueError:
            adds = True
        (strangers if adds else ours).append(part)
    return ours, strangers
