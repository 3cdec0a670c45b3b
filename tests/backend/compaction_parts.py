"""What tests of compaction and of the chain of manifests share: two days of many objects, and looks at the archive."""

import hashlib

from backend import chain
from backend.catalog import Catalog
from backend.compaction import Compaction
from backend.parquet import decode
from tests.backend.archive_parts import rows_of

DAY = 86_400_000
DAYS = ("2025-11-22", "2025-11-23")
LONG_AFTER = "2026-06-01"


def compaction(store, database=None, remove_after=0):
    return Compaction(store, None if database is None else Catalog(database), remove_after)


def compact(store, database=None, through=LONG_AFTER, remove_after=0):
    return compaction(store, database, remove_after).run(through)


def sizes(store):
    return {day: len(entries) for day, entries in chain.days(store).items()}


def rows_in(store):
    return sorted(row for entry in store.list("day=") for row in rows_of(store, entry.key))


def gaps_in(store):
    return sorted(gap for entry in store.list("day=") for gap in decode(store.get(entry.key))[1])


def broken(store, expected=""):
    done = chain.Proof()
    return [each for each in chain.prove(store, expected, done) if isinstance(each, chain.Broken)], done


def kinds(store, expected=""):
    return [each.kind for each in broken(store, expected)[0]]


def add(store, day, body):
    key = f"day={day}/{hashlib.sha256(body).hexdigest()[:32]}.parquet"
    store.put(key, body)
    return key
