"""Each seeded bug of the backend is found by the test that it names; `tools bench bugs backend` shows it as a table."""

import pytest

from tests.backend import seeded

BUGS = seeded.bugs()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return seeded.copy(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_seeded_bug(bug, checkout):
    path = checkout / bug.file
    good = path.read_text(encoding="utf-8")
    try:
        seeded.plant(bug, checkout)
        code, output = seeded.run(checkout, bug.test.split())
    finally:
        path.write_text(good, encoding="utf-8")
    assert code == 1, f"{bug.about} is not found by {bug.test}\n{output}"
    assert "1 failed" in output, output


def test_without_a_bug_the_same_tests_pass(checkout):
    code, output = seeded.run(checkout, sorted({bug.test for bug in BUGS}))
    assert code == 0, output


def test_there_are_twenty_and_of_all_parts():
    assert len(BUGS) >= 20
    parts = {"ingest", "commit", "coverage", "bus", "bulk", "database", "archive", "freezing", "lease", "restore"}
    assert {bug.file.removeprefix("backend/").removesuffix(".py") for bug in BUGS} >= parts
