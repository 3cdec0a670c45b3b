"""Seeded bugs of the backend: each can still be planted, and some are found by the test that they name.

`python -m tools bench bugs backend` plants all of them and shows which test finds each: minutes, and a process each.
"""

import pytest

from tests.backend import seeded

BUGS = seeded.bugs()
TRIED = [bug for bug in BUGS if bug.name in ("ack_before_commit", "duplicate_counted", "ack_out_of_order")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return seeded.copy(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def planted(bug, checkout):
    path = checkout / bug.file
    good = path.read_text(encoding="utf-8")
    seeded.plant(bug, checkout)
    yield path
    path.write_text(good, encoding="utf-8")


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_it_can_be_planted(bug, planted, checkout):
    compile(planted.read_text(encoding="utf-8"), planted, "exec")
    file, *names = bug.test.split()[0].split("::")
    text = (checkout / file).read_text(encoding="utf-8")
    assert all(name.split("[")[0] in text for name in names)


@pytest.mark.parametrize("bug", TRIED, ids=[bug.name for bug in TRIED])
def test_it_is_found(bug, planted, checkout):
    code, output = seeded.run(checkout, bug.test.split())
    assert code == 1, f"{bug.about} is not found by {bug.test}\n{output}"
    assert "1 failed" in output, output


def test_there_are_twenty_and_of_all_parts():
    assert len(BUGS) >= 20
    parts = {"ingest", "commit", "coverage", "bus", "bulk", "database", "archive", "freezing", "lease", "restore"}
    assert {bug.file.removeprefix("backend/").removesuffix(".py") for bug in BUGS} >= parts
