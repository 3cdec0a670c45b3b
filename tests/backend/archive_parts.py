"""What tests of the archive share; conftest.py has their bucket."""

from backend.archive import Archive
from backend.parquet import decode
from backend.verify import Finding, Verification, verify


def rows_of(store, key):
    return decode(store.get(key))[0].rows()


def archived(store):
    return [(row.device, row.stream, row.seq) for entry in store.list("day=") for row in rows_of(store, entry.key)]


def archive_all(database, store, rows=10_000):
    archive = Archive(database, store, rows=rows, age=1)
    while archive.freeze():
        archive.upload()


def findings(database, store):
    done = Verification()
    return [finding for finding in verify(database, store, done) if isinstance(finding, Finding)], done
