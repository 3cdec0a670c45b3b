"""The chain of manifests on S3: read, grown by one, and proven against the objects, from S3 alone."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import manifest
from .errors import NotFound, VerificationFailed
from .manifest import Contents, Entry
from .objects import ObjectStore, StoredObject

DAYS = "day="
SUFFIX = ".parquet"


@dataclass(frozen=True)
class Broken:
    """One thing that is not as the chain says.

    kind: manifest-missing, manifest-altered, object-missing, object-altered, object-added.
    """

    kind: str
    text: str


@dataclass
class Proof:
    """What was compared so far. waiting: objects of days that no manifest covers yet; replaced: those not removed yet.

    digest: of all readings that the chain names, as `tools verify` gives it where all is archived and sealed.
    """

    manifests: int = 0
    head: str = ""
    objects: int = 0
    readings: int = 0
    digest: int = 0
    waiting: int = 0
    replaced: int = 0


def load(store: ObjectStore) -> Contents:
    """What all manifests together say. Raises VerificationFailed when they are no chain, ObjectStoreUnavailable."""
    contents = Contents()
    for _, broken in _follow(store, contents):
        if broken:
            raise VerificationFailed(
                f"The archive's manifests are not what they were: {broken.text}.",
                "If the bucket keeps versions, bring back the one before. `python -m tools chain` says more.",
            )
    return contents


def append(
    store: ObjectStore,
    contents: Contents,
    made: int,
    through: str,
    open_: Iterable[str],
    added: list[Entry],
    replaced: list[tuple[str, str]],
) -> Contents:
    """Write the next manifest, after those that somebody else may have written meanwhile; the contents with it.

    Raises VerificationFailed, ObjectStoreUnavailable.
    """
    while True:
        following = contents.next(made, through, open_, added, replaced)
        body = following.encode()
        # Where a server's If-None-Match lets two through, the second reading shows whose it is now.
        if store.put_new(following.key, body) and store.get(following.key) == body:
            contents.follow(following, body)
            return contents
        contents = load(store)
        left = contents.next(made, through, open_, added, replaced)
        if not left.added and not left.replaced:
            return contents


def days(store: ObjectStore, through: str = "9999") -> dict[str, list[StoredObject]]:
    """day → its objects, up to and with that day, in order."""
    found: dict[str, list[StoredObject]] = {}
    for entry in store.list(DAYS):
        day = day_of(entry.key)
        if entry.key.endswith(SUFFIX) and day <= through:
            found.setdefault(day, []).append(entry)
    return found


def of_day(store: ObjectStore, day: str) -> list[StoredObject]:
    return [entry for entry in store.list(f"{DAYS}{day}/") if entry.key.endswith(SUFFIX)]


def day_of(key: str) -> str:
    return key.removeprefix(DAYS).split("/")[0]


def named_after(key: str, sha256: str) -> bool:
    """Whether the object's key is made of this SHA-256, as the archive makes them."""
    name = key.rsplit("/", 1)[-1].removesuffix(SUFFIX)
    return len(name) == 32 and sha256.startswith(name)


def prove(store: ObjectStore, expected: str, done: Proof) -> Iterator[Broken | int]:
    """What is broken, as it is found, and the bytes of each object that was read; `done` counts along.

    expected: a head that was noted before and must be in the chain; "" for none. Holds one object in memory.
    Raises ObjectStoreUnavailable.
    """
    contents = Contents()
    heads = set()
    for number, broken in _follow(store, contents):
        if broken:
            yield broken
        done.manifests = number
        heads.add(contents.head)
    done.head = contents.head
    if expected and expected not in heads:
        yield Broken("manifest-missing", f"no manifest has the SHA-256 {expected}: some were cut off, or made anew")
    there = {entry.key for entry in store.list(DAYS)}
    for key in sorted(there | contents.live.keys()):
        if key in there:
            body = _get(store, key)
            if body is not None:
                yield from _check_object(contents, key, hashlib.sha256(body).hexdigest(), done)
                yield len(body)
                continue
        if key in contents.live:
            entry = contents.live[key]
            yield Broken("object-missing", f"{key} ({entry.readings:,} readings) is not in S3")


def _check_object(contents: Contents, key: str, sha256: str, done: Proof) -> Iterator[Broken]:
    entry = contents.live.get(key)
    done.objects += 1
    if entry is not None:
        if sha256 != entry.sha256:
            yield Broken("object-altered", f"{key}: its SHA-256 is {sha256}, it was {entry.sha256}")
        else:
            done.readings += entry.readings
            done.digest = (done.digest + entry.digest) % 2**256
    elif not named_after(key, sha256):
        yield Broken("object-altered", f"{key}: its name is not made of its SHA-256, {sha256}")
    elif key in contents.replaced:
        done.replaced += 1
    elif contents.sealed(day_of(key)):
        yield Broken(
            "object-added",
            f"{key} is in no manifest, but its day was sealed: late readings that `python -m backend compact` takes in"
            " next, or somebody's; `python -m tools verify` knows which",
        )
    else:
        done.waiting += 1


def _follow(store: ObjectStore, contents: Contents) -> Iterator[tuple[int, Broken | None]]:
    """(number, what is wrong with it) of each manifest; `contents` goes on with what can be read of it."""
    for entry in store.list(manifest.FOLDER):
        body = store.get(entry.key)
        try:
            found = manifest.decode(body)
        except ValueError as error:
            contents.number, contents.head = contents.number + 1, hashlib.sha256(body).hexdigest()
            yield contents.number, Broken("manifest-altered", f"{entry.key}: {error}")
            continue
        broken = None
        if entry.key != found.key:
            broken = Broken("manifest-altered", f"{entry.key} says it is number {found.number}")
        elif found.number != contents.number + 1:
            broken = Broken(
                "manifest-missing", f"after number {contents.number} comes {entry.key}: some were taken away"
            )
        elif found.previous != contents.head:
            broken = Broken(
                "manifest-altered",
                f"{entry.key} or the one before: it follows a SHA-256 of {found.previous}, but that is {contents.head}",
            )
        contents.follow(found, body)
        yield contents.number, broken


def _get(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except NotFound:
        return None
