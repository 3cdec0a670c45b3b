"""`python -m backend run` as a user meets it: one process to start, one line a reading, one Ctrl-C."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from backend.run import umqtt
from backend.run.layout import Layout
from tests.backend.run_helpers import Run, three_places
from tests.servers import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def options():
    return [] if umqtt.find(os.environ) else ["--no-device"]


@pytest.fixture
def run(tmp_path):
    runs = []

    def run(*options, folder="state", ports=None):
        ports = ports or three_places()
        runs.append(Run(tmp_path / folder, *ports, *options))
        runs[-1].ports = ports
        return runs[-1]

    yield run
    for one in runs:
        one.close()
        assert one.left_over() == []


def test_a_life(run, options, tmp_path):
    """One run, for its start is the slow part: secrets, second run, busy port, a death, Ctrl-C, and once more."""
    first = run(*options)
    first.wait_for_line("Thermograph is up")
    assert f"http://127.0.0.1:{first.ports[0]}/" in first.output
    names = {Path(child.cmdline()[0]).name for child in first.find_children()}
    assert {"nats-server", "weed"} <= names
    if not options:
        first.wait_for_line("#3")

    _check_secrets(Layout(tmp_path / "state"), first)

    second = run("--no-device")
    assert second.wait() == 70
    assert f"already runs on {tmp_path / 'state'} (pid {first.pid})" in second.output

    third = run("--no-device", folder="other", ports=first.ports)
    assert third.wait() == 71
    assert f"Port {first.ports[0]}, for the web page, is taken by" in third.output
    assert "(pid " in third.output
    assert "--web-port" in third.output

    ingest = next(child for child in first.children if child.cmdline()[-1] == "ingest")
    ingest.kill()
    first.wait_for_line("ingest ended by itself (signal 9)")
    wait_for(lambda: first.output.count(" ingest  ") == 2, "second ingest")
    first.find_children()

    first.send(signal.SIGINT)
    assert first.wait() == 0
    assert "All stopped" in first.output
    assert first.left_over() == []

    again = run(*options, ports=first.ports)
    again.wait_for_line("Thermograph is up")
    again.find_children()
    again.send(signal.SIGKILL)
    again.wait()
    wait_for(lambda: not again.left_over(), "end of all children")


def _check_secrets(layout, run):
    secrets = [
        value
        for name, value in json.loads(layout.credentials.read_text()).items()
        if name not in ("s3_key", "ingest_id")
    ]
    assert len(set(secrets)) == 3
    holders = {path for path in layout.state.rglob("*") if path.is_file() and _holds(path, secrets)}
    for path in holders:
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert {path.name for path in holders} >= {"credentials.json", "environment.json", "nats-server.conf"}
    assert not [path for path in holders if path.suffix in (".log", ".1", ".db")]
    for process in [psutil.Process(run.pid), *run.children]:
        assert not any(secret in " ".join(process.cmdline()) for secret in secrets)
    assert not any(secret in run.output for secret in secrets)


def _holds(path, secrets):
    content = path.read_bytes()
    return any(secret.encode() in content for secret in secrets)


def test_a_service_that_cannot_start_ends_the_run_with_its_last_words(run, tmp_path):
    (tmp_path / "state" / "broker").mkdir(parents=True)
    (tmp_path / "state" / "broker" / "store").write_text("a file where the broker wants its folder")
    failed = run("--no-device")
    started = time.monotonic()
    assert failed.wait() == 70
    assert time.monotonic() - started < 20
    assert "broker ended as it started" in failed.output
    assert "not a directory" in failed.output
    assert "broker.log" in failed.output
    assert "Traceback" not in failed.output
