"""The guided tour and the way to a fleet: every command is run as printed, every link leads somewhere."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.deploy.costs import FLEETS, bill
from backend.run import umqtt
from tests.backend.run_helpers import ROOT, Run, three_places
from tests.servers import wait_for

TOUR, FLEET = ROOT / "backend" / "TOUR.md", ROOT / "backend" / "deploy" / "FLEET.md"
TERMS = (
    "Client and server", "Request and response", "REST verbs", "Status codes", "JSON", "SQL", "Schema and table",
    "Primary and foreign key", "NoSQL: key-value", "NoSQL: document", "Authentication against authorization",
    "Sessions", "Cookies", "JWT", "Model, view, template", "ORM", "URL dispatch", "Admin site", "TCP sockets",
    "Device, gateway, cloud, application", "HTTP against MQTT", "IaaS, PaaS, SaaS", "EC2", "S3", "RDS", "Lambda",
    "boto3",
)  # fmt: skip


def stops():
    """title → what stands under it"""
    parts = re.split(r"^### (.+)$", TOUR.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(path):
    blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_every_term_has_its_three_sentences_its_file_and_its_command():
    assert set(stops()) == set(TERMS)
    for title, text in stops().items():
        prose, _, rest = text.strip().partition("\nFile: ")
        sentences = re.findall(r"[.?](?=\s|$)", re.sub(r"`[^`]*`", "x", prose.replace("e.g.", "")))
        assert len(sentences) == 3, title
        assert len(re.findall(r"^```sh\n[^\n]+\n```", rest, re.MULTILINE)) == 1, title


def test_the_dollars_of_the_fleet_are_those_of_the_arithmetic():
    text = FLEET.read_text(encoding="utf-8")
    for fleet in FLEETS:
        assert f"${sum(item.dollars for item in bill(fleet)):,.2f}" in text


@pytest.mark.parametrize("path", [TOUR, FLEET], ids=lambda path: path.name)
def test_every_link_and_every_file_that_a_command_names_is_there(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in target or (path.parent / target).exists(), target
    for name in re.findall(r"\b(?:backend|tools|tests|firmware)/[\w./-]+", text):
        assert (ROOT / name).exists(), name


@pytest.fixture
def stack(tmp_path):
    """What `make run` starts, on ports and in a folder of this test's own."""
    ports = three_places()
    device = [] if umqtt.find(os.environ) else ["--no-device"]
    run = Run(tmp_path / "state", *ports, *device)
    run.port, run.state = ports[0], tmp_path / "state"
    try:
        run.wait_for_line("Thermograph is up", 120)
        run.find_children()
        # The bucket is made with the archive's first object: what the tour shows of S3 is there from then on.
        wait_for(lambda: "thermograph" in _buckets(run), "bucket", 180)
        yield run
        run.send(signal.SIGINT)
        assert run.wait() == 0
    finally:
        run.close()
        assert run.left_over() == []


def _buckets(run):
    command = [sys.executable, "-m", "tools", "buckets", "--state-dir", str(run.state)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the commands are a shell's")
def test_every_command_shows_what_it_says(stack):
    """Only where things are differs from what is printed: this Python, the run's folder and port."""
    wrong = []
    for command in dict.fromkeys(commands(TOUR) + commands(FLEET)):
        given, _, wanted = command.partition("  # ")
        for printed, here in {
            ".venv/bin/python": sys.executable,
            "127.0.0.1:8080": f"127.0.0.1:{stack.port}",
            "'127.0.0.1', 8080": f"'127.0.0.1', {stack.port}",
            "--state-dir var": f"--state-dir {stack.state}",
            "file:var/": f"file:{stack.state}/",
        }.items():
            given = given.replace(printed, here)
        assert wanted, command
        shell = [shutil.which("bash"), "-c", given]
        done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0 or wanted not in done.stdout:
            wrong.append((command, done.returncode, done.stdout[-600:], done.stderr[-600:]))
    assert wrong == []


def test_the_readme_leads_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (TOUR, FLEET):
        assert f"]({path.relative_to(Path(ROOT))})" in text
