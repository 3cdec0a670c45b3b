"""Each seeded bug is found by the check that it names, and without a bug the same checks pass.

`python -m tools bench bugs` shows it as a table; with --all it is the whole suite that has to find each.
"""

import pytest

import seeded

BUGS = seeded.bugs()


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return seeded.copy(tmp_path_factory.mktemp("clean") / "firmware")


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_seeded_bug(bug, tmp_path, umqtt_path):
    firmware = seeded.copy(tmp_path / "firmware")
    seeded.plant(bug, firmware)
    code, output = seeded.run(firmware, bug.test.split())
    assert code == 1 and "Traceback" in output, "%s is not found by %s\n%s" % (bug.about, bug.test, output)
    assert "ImportError" not in output and "SyntaxError" not in output, output


@pytest.mark.parametrize("check", sorted({bug.test for bug in BUGS}))
def test_without_a_bug(check, clean, umqtt_path):
    code, output = seeded.run(clean, check.split())
    assert code == 0, output


def test_a_bug_whose_text_has_gone_is_not_passed_over(clean):
    with pytest.raises(AssertionError):
        seeded.plant(BUGS[0]._replace(changes=[("nowhere to be found", "")]), clean)


def test_there_are_many_and_of_all_parts():
    assert len(BUGS) >= 20
    assert {bug.file.split("/")[1] for bug in BUGS} >= {"outbox.py", "sector.py", "link.py", "packets.py", "node.py"}
