"""`flash` from end to end: a board that is a real MicroPython, the broker, ingest and database of a real run."""

import json
import os

import pytest

from backend.database import Database
from backend.devices import Registry
from backend.run import micropython
from backend.run.environment import load
from tests.backend.run_helpers import Run, three_places
from tests.tools.fake_board import powered
from tests.tools.flash_bench import QUICK, WIFI_PASSWORD, Desk

STAGES = ["port", "flash", "filesystem", "register", "settings", "start", "connection", "sensor", "ingest"]

pytestmark = pytest.mark.skipif(
    not micropython.find(os.environ), reason="MicroPython is not installed: python -m tools setup --for test"
)


@pytest.fixture
def run(tmp_path):
    ports = three_places()
    run = Run(tmp_path / "state", *ports, "--no-device")
    try:
        run.wait_for_line("http://")
        yield run
    finally:
        run.close()


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    networks = [{"ssid": "home", "password": WIFI_PASSWORD}]
    (tmp_path / "more.json").write_text(json.dumps({**QUICK, "networks": networks}))
    return desk


def test_a_new_board_gets_to_its_first_stored_reading_and_a_second_run_changes_nothing(run, desk, tmp_path):
    state = tmp_path / "state"
    with powered(tmp_path / "board") as board:
        words = ("flash", "--port", board.port, "--state-dir", state, "--settings", tmp_path / "more.json")
        first = desk.run(*words, "--name", "fridge-1")
        assert first.exit_code == 0, first.output
        ticks = [line.split()[1] for line in first.output.splitlines() if line.startswith("✓")]
        assert ticks == STAGES
        assert "leads to no ROM loader" in first.output
        assert "fridge-1, new" in first.output
        registered = Registry(state).read()
        files = {path: path.stat().st_mtime_ns for path in board.folder.rglob("*.*py")}
        written = (board.folder / "settings.json").read_bytes()

        second = desk.run(*words, "--json")
        assert second.exit_code == 0, second.output
        told = json.loads(second.stdout)
        details = {stage["stage"]: stage["detail"] for stage in told["stages"]}
        assert details["filesystem"].startswith("0 of ")
        assert details["register"] == "fridge-1, known already"
        assert details["settings"].startswith("unchanged")
        assert {path: path.stat().st_mtime_ns for path in board.folder.rglob("*.*py")} == files
        assert (board.folder / "settings.json").read_bytes() == written
        assert Registry(state).read() == registered
        assert told["device"] == "fridge-1" and told["mac"] == "240ac4000110"
        assert told["unit"] == "Cel" and told["seq"] > 1 and 0 <= told["latency"] < 180
        assert told["page"].startswith("http://127.0.0.1:") and "fridge-1" in told["page"]

        environment = load(state)
        database = Database(environment["THERMOGRAPH_DATABASE"])
        with database.read() as connection:
            stored = connection.exec_driver_sql("SELECT value FROM readings WHERE seq = 1").scalar_one()
        database.close()
        assert f" {stored:g} Cel" in first.output

        secrets = [WIFI_PASSWORD, registered["fridge-1"].password, environment["THERMOGRAPH_BROKER_PASSWORD"]]
        secrets += [environment["AWS_SECRET_ACCESS_KEY"]]
        assert str(registered["fridge-1"].password) in written.decode()  # the search below would find one
        for output in (first.output, second.output, run.output):
            assert [secret for secret in secrets if secret in output] == []
