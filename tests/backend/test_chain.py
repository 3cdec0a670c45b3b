"""The chain of manifests: whatever is changed is named."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from backend import chain, manifest
from backend.errors import VerificationFailed
from backend.parquet import ArchivedReading, Readings, encode
from tests.backend.archive_parts import archive_all, rows_of
from tests.backend.compaction_parts import DAYS, add, broken, compact, kinds
from tests.backend.test_commit import telemetry
from tools.commands import tools


@pytest.mark.sqlite_only
class TestChain:
    """Each night a manifest; then somebody changes something, on any day."""

    @pytest.fixture
    def sealed(self, filled, store, ingest):
        compact(store, filled, through=DAYS[0])
        compact(store, filled)
        ingest.commit([telemetry(38, 5)])
        archive_all(filled, store)
        compact(store, filled)
        found, done = broken(store)
        assert (found, done.manifests) == ([], 3)
        return store

    def test_an_altered_object_of_any_day(self, sealed):
        for entry in list(sealed.list("day=")):
            good = sealed.get(entry.key)
            body = bytearray(good)
            body[len(body) // 2] ^= 1
            sealed.put(entry.key, bytes(body))
            found, _ = broken(sealed)
            assert [(each.kind, entry.key in each.text) for each in found] == [("object-altered", True)]
            sealed.put(entry.key, good)

    def test_a_removed_object_of_any_day(self, sealed):
        for entry in list(sealed.list("day=")):
            body = sealed.get(entry.key)
            sealed.delete(entry.key)
            found, _ = broken(sealed)
            assert [(each.kind, entry.key in each.text) for each in found] == [("object-missing", True)]
            # No later manifest covers it up.
            compact(sealed)
            assert kinds(sealed) == ["object-missing"]
            sealed.put(entry.key, body)

    def test_an_added_object_of_any_day(self, sealed):
        row = rows_of(sealed, next(iter(sealed.list("day="))).key)[0]
        body = encode(Readings.of_rows([ArchivedReading(**{**vars(row), "value": 1e9, "fault": None})]))
        for day in (*DAYS, "2025-01-01"):
            key = add(sealed, day, body)
            found, _ = broken(sealed)
            assert [(each.kind, key in each.text) for each in found] == [("object-added", True)]
            sealed.delete(key)

    def test_an_altered_or_removed_manifest(self, sealed):
        head = broken(sealed)[1].head
        for number in (1, 2, 3):
            key = f"{manifest.FOLDER}{number:08d}.json"
            good = sealed.get(key)
            sealed.put(key, good.replace(b'"readings":', b'"readings":1'))
            assert kinds(sealed, expected=head) == ["manifest-altered" if number < 3 else "manifest-missing"]
            if number < 3:
                with pytest.raises(VerificationFailed, match="not what they were"):
                    compact(sealed)
            sealed.delete(key)
            assert "manifest-missing" in kinds(sealed, expected=head)
            sealed.put(key, good)
        assert kinds(sealed, expected=head) == []

    def test_an_object_and_the_last_manifest_changed_together(self, sealed):
        """Consistent in itself: only a head that was noted elsewhere shows it."""
        head = broken(sealed)[1].head
        contents = chain.load(sealed)
        gone = next(iter(sealed.list(f"day={DAYS[0]}"))).key
        sealed.delete(gone)
        key = f"{manifest.FOLDER}{contents.number:08d}.json"
        found = manifest.decode(sealed.get(key))
        kept = tuple(entry for entry in found.added if entry.key != gone)
        sealed.put(key, dataclasses.replace(found, added=kept).encode())
        assert kinds(sealed) == []
        assert kinds(sealed, expected=head) == ["manifest-missing"]

    def test_garbage_instead_of_a_manifest(self, sealed):
        sealed.put(f"{manifest.FOLDER}00000002.json", b"\xff{")
        assert kinds(sealed)[0] == "manifest-altered"

    def test_two_at_once_write_one_chain(self, filled, store):
        contents = chain.load(store)
        entry = manifest.Entry("day=2025-11-22/a.parquet", 1, "a", 1, 1)
        other = manifest.Entry("day=2025-11-22/b.parquet", 1, "b", 1, 1)
        first = chain.append(store, contents, 1, DAYS[0], [], [entry], [])
        again = chain.append(store, manifest.Contents(), 2, DAYS[0], [], [entry], [])
        both = chain.append(store, manifest.Contents(), 3, DAYS[0], [], [entry, other], [])
        assert (first.number, again.number, both.number) == (1, 1, 2)
        assert chain.load(store).live == {each.key: each for each in (entry, other)}

    def test_the_command(self, sealed, monkeypatch):
        monkeypatch.setenv("THERMOGRAPH_S3_BUCKET", sealed.bucket)
        told = json.loads(CliRunner().invoke(tools, ["chain", "--json"]).output)
        assert (told["manifests"], told["readings"], told["findings"]) == (3, 46, [])
        good = CliRunner().invoke(tools, ["chain", "--expect", told["head"]])
        assert (good.exit_code, "is what its manifests say" in good.output) == (0, True)
        sealed.delete(next(iter(sealed.list("day="))).key)
        bad = CliRunner().invoke(tools, ["chain"])
        assert (bad.exit_code, "object-missing: day=" in bad.output) == (3, True)
