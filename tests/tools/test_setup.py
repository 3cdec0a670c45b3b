"""python -m tools setup, as far as it can be tried without changing this machine."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tools import bootstrap, micropython
from tools.commands import NAMES, tools
from tools.setup import Program

ROOT = Path(__file__).parents[2]
DEB822 = """\
# the mirror
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/some.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_the_private_sources_come_from_this_machines_own(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert micropython.newer_source("bookworm", tmp_path) == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/some.gpg\n"
    )
    assert micropython.newer_source("noble", tmp_path) is None


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("deb http://mirror.example/debian bookworm main", ""),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm contrib main",
            "Signed-By: /k.gpg\n",
        ),
    ],
)
def test_the_old_form_of_sources_is_understood_too(tmp_path, line, key):
    (tmp_path / "sources.list").write_text(
        f"# deb http://old.example/debian bookworm main\ndeb http://other.example bookworm contrib\n{line}\n"
    )
    source = micropython.newer_source("bookworm", tmp_path)
    assert source == f"Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\n{key}"


def test_a_program_is_found_under_any_of_its_names_or_places():
    assert Program("x", ["no-such-program-1", "sh"]).path() == Path(shutil.which("sh"))
    assert Program("x", ["no-such-program-1"], ["bin/s?"]).path() is not None
    assert Program("x", ["no-such-program-1"], ["no/such/*"]).path() is None


def test_a_python_without_the_packages_says_what_to_do():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tools", "check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "click is not installed" in done.stderr
    assert bootstrap.SETUP in done.stderr
    assert "Traceback" not in done.stderr


def test_requirements_of_a_run_are_few_and_those_of_the_tests_come_on_top():
    run, test = bootstrap.requirements("run"), bootstrap.requirements("test")
    assert test[: len(run)] == run
    assert any(line.startswith("pytest") for line in test)


def test_every_dependency_has_a_range_and_a_reason():
    for line in bootstrap.REQUIREMENTS.read_text().splitlines():
        if line and not line.startswith("#"):
            requirement, _, reason = line.partition("#")
            assert ">=" in requirement, line
            assert reason.strip(), line


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name):
    result = CliRunner().invoke(tools, [name, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


def test_an_unknown_command_is_refused():
    assert CliRunner().invoke(tools, ["no-such-command"]).exit_code == 2
