"""`tools simulate`: the real firmware without a board, scenarios with a proof, and thousands of cheap devices."""

import io
import json
import os
import re
import statistics
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from backend import ledger
from backend.database import Database
from backend.errors import SettingsError, VerificationFailed
from backend.settings import Secret, Settings
from tests.end_to_end.world import ROOT, Part
from tests.servers import Mosquitto, wait_for
from tools.simulation import keys, mqtt, scenario, table
from tools.simulation.device import SENSOR, Device, Identity, Sampling
from tools.simulation.firmware import module
from tools.simulation.place import find
from tools.simulation.proof import prove

OUTAGE = ROOT / "tests" / "scenarios" / "outage.yaml"


class Backend:
    """mosquitto, ingest and SQLite."""

    def __init__(self, folder):
        self.broker = Mosquitto(folder / "broker", persistence=True)
        self.settings = Settings(
            database=f"sqlite:///{folder}/thermograph.db",
            broker=f"mqtt://127.0.0.1:{self.broker.port}",
            enrolment="open",
        )
        self.database = Database(self.settings.database)
        self.database.migrate()
        self.ingest = Part(folder / "ingest", "ingest", self.settings)

    def start(self):
        self.broker.start()
        self.ingest.start()

    def close(self):
        self.ingest.close()
        self.broker.close()
        self.database.close()


@pytest.fixture
def backend(tmp_path):
    backend = Backend(tmp_path)
    try:
        backend.start()
        yield backend
    finally:
        backend.close()


def command(*words):
    return [sys.executable, "-m", "tools", "simulate", *map(str, words)]


def environment(settings=None):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("THERMOGRAPH_BROKER")}
    given = settings.environment() if settings else {}
    return kept | {name: given[name] for name in ("THERMOGRAPH_BROKER", "THERMOGRAPH_DATABASE") if name in given}


def test_a_night_of_outages_ends_with_exactly_what_was_sampled_in_the_database(backend, tmp_path):
    words = command("--devices", 3, "--interval", 0.5, "--folder", tmp_path / "run", "--scenario", OUTAGE, "--json")
    done = subprocess.run(
        words, cwd=ROOT, env=environment(backend.settings), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["proven"]
    assert report["sampled"] >= 3 * 15
    # Asked once more, of the consoles as they were logged and of the ledger, not of the command.
    consoles = {path.parent.name: path.read_text() for path in (tmp_path / "run").glob("*/console.log")}
    seq = re.compile(r" sample .* seq (\d+)$", re.M)
    said = {name: {int(found) for found in seq.findall(text)} for name, text in consoles.items()}
    with backend.database.read() as connection:
        accounts = {one.device: one for one in ledger.read(connection)}
    assert accounts.keys() == said.keys() == {"sim-01", "sim-02", "sim-03"}
    for name, seqs in said.items():
        account = accounts[name]
        assert account.waiting_on_device == 0
        assert account.sampled == max(seqs)
        assert 0 <= account.stored - len(seqs) <= 2, "as many as cuts: on flash before the console said so"
        # The first start, two power cuts, the start for the proof; a cut may come before the boot has said so.
        assert 2 <= consoles[name].count(" boot ") <= 4
        assert "wifi: the network is switched off" in consoles[name]


def test_a_step_that_does_not_come_true_is_named_with_the_console(tmp_path):
    file = tmp_path / "never.yaml"
    file.write_text("name: never\nversion: 1\nsteps:\n- wait-serial: ' sample '\n- wait-serial: unicorn\n")
    words = command("--broker", "mqtt://127.0.0.1:9", "--folder", tmp_path, "--scenario", file, "--timeout", 4)
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 42, done.stderr
    assert "step 2, wait-serial 'unicorn', did not come true for sim-01" in done.stderr
    assert "sim-01: " in done.stderr.partition("The last words:")[2]
    assert "Traceback" not in done.stderr


def test_cheap_devices_have_everything_stored_although_the_broker_is_killed(backend):
    words = command("--load", 60, "--interval", 1, "--minutes", 0.15, "--json")
    with subprocess.Popen(
        words, cwd=ROOT, env=environment(backend.settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as load:

        def stored():
            with backend.database.read() as connection:
                return sum(one.stored for one in ledger.read(connection))

        wait_for(lambda: stored() > 100 or load.poll() is not None, "100 readings", 60)
        backend.broker.kill()
        backend.broker.start()
        out, err = load.communicate(timeout=200)
    assert load.returncode == 0, err
    report = json.loads(out)
    assert report["connected"] == 60
    assert report["connects"] > 60
    assert report["sampled"] == 60 * 9 == report["acked"] == stored()
    assert {cost["name"] for cost in report["processes"]} >= {"devices"}
    assert all(cost["memory"] > 0 for cost in report["processes"])


@pytest.fixture
def device(tmp_path):
    """One that is never started: it only hears what its console would say."""
    way = SimpleNamespace(port=1)
    who = Identity("fridge-1", "", Secret(""), None, "127.0.0.1")
    return Device(tmp_path / "fridge-1", who, Sampling(1, 1, 0), None, None, way)


def hear(device, stream, *values):
    device.hear(f"12:00:00Z boot 1 stream {stream} holds 1 to 0, freed to 0")
    for seq, value in enumerate(values, 1):
        device.hear(f"12:00:0{seq}Z sample {SENSOR} {value} Cel seq {seq}")


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (["4.5", "fault:crc", "5"], None),
        (["4.5", "fault:crc", "5", "6"], "1 readings are not stored: seq 4"),
        (["4.5", "fault:crc", "5.0625"], "1 readings changed on their way: seq 3"),
        (["4.5", "4", "5"], "1 readings changed on their way: seq 2"),
        (["4.5", "fault:crc"], "1 readings that no console named: seq 3"),
    ],
)
def test_the_proof_sees_what_is_missing_changed_or_unheard_of(device, rows, said, trouble):
    rows.device()
    rows.readings(rows.channel(), [(1000, 4.5), (2000, "crc"), (3000, 5.0)])
    hear(device, "9f3a1c02", *said)
    if trouble is None:
        assert prove(rows.database, [device]).sampled == 3
        return
    with pytest.raises(VerificationFailed, match=trouble):
        prove(rows.database, [device])


def test_a_scenario_is_read_with_names_and_units(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("steps:\n- name: first\n  delay: 250ms\n- wait-serial: up\n- delay: 2 s\n")
    steps = scenario.read(file).steps
    assert [(step.seconds, step.words) for step in steps] == [(0.25, None), (None, "up"), (2.0, None)]


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("{", "cannot be read as YAML"),
        ("a: 1", "no list `steps`"),
        ("steps: [{delay: 5}]", "Step 1 .*has no unit"),
        ("steps: [{delay: 1s}, {expect-pin: {}}]", "Step 2 .*without Wokwi"),
        ("steps: [{set-control: {part-id: wifi, control: colour, value: 1}}]", "wifi/colour is nothing"),
        ("steps: [{set-control: {part-id: wifi}}]", "set-control takes"),
        ("steps: [{set-control: {part-id: p, control: temperature, value: warm}}]", "warm"),
        ("steps: [{delay: 1s, wait-serial: x}]", "no step"),
    ],
)
def test_what_is_no_scenario_is_refused_by_its_step(tmp_path, text, trouble):
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=trouble):
        scenario.read(file)


def test_text_is_waited_for_after_what_was_waited_for_before(device):
    steps = tuple(scenario.Step(words, words=words) for words in ("up", "up", "down"))
    player = scenario.Player(scenario.Scenario("s", steps), [device], lambda *_: None)
    device.hear("0 up")
    assert not player.advance(0)
    device.hear("0 down")
    assert not player.advance(1), "this down was before the second up"
    device.hear("0 up")
    device.hear("0 down")
    assert player.advance(2)


def test_a_day_in_the_fridge_has_a_compressor_and_a_door_and_can_be_driven():
    simulated = module("sensors.simulated")
    clock, drive = SimpleNamespace(now=0), {}
    clock.uptime = lambda: clock.now
    fridge = simulated.Simulated(simulated.Fridge(clock, 7, 0.0, lambda: drive), SENSOR)
    day = []
    for clock.now in range(0, 86_400_000, 10_000):
        day.append(fridge.read()[0][0])
    assert 3.5 < statistics.median(day) < 4.5
    assert min(day) > 2.0
    assert 7.0 < max(day) < 9.5, "the door was opened"
    assert sum(value > 6 for value in day) < len(day) / 5
    drive["celsius"] = -18.5
    assert fridge.read() == [(-18.5, None)]
    drive["add"] = 0.25
    assert fridge.read() == [(-18.25, None)]
    for fault in ("absent", "crc", "power-on"):
        drive["fault"] = fault
        assert fridge.read() == [(None, fault)]


def test_packets_come_in_any_pieces():
    heard, opened, closed = [], [], []
    one = mqtt.Connection(b"", lambda: opened.append(1), lambda *message: heard.append(message), closed.append)
    ignored = SimpleNamespace(write=lambda data: None, is_closing=lambda: False, close=lambda: closed.append("x"))
    one.connection_made(ignored)
    long = b"\x00\x01t" + b"p" * 300
    data = b"\x20\x02\x00\x00" + b"\x30\x04\x00\x01ta" + b"\x30\xaf\x02" + long
    for at in range(len(data)):
        one.data_received(data[at : at + 1])
    assert opened == [1]
    assert heard == [(b"t", b"a"), (b"t", b"p" * 300)]
    one.data_received(b"\x20\x02\x00\x05")
    assert closed == ["x"]
    one.connection_lost(None)
    assert closed[-1] == "the broker refused the connection (code 5)"


def test_the_table_says_how_each_device_is(device):
    hear(device, "0a0b0c0d", "4.5", "fault:crc", "9.25")
    device.hear("12:00:05Z connected to 127.0.0.1:1")
    console = Console(file=io.StringIO(), width=120)
    console.print(table.render([device], "1 device", "", 0, 24, keys=True))
    text = console.file.getvalue()
    assert "fridge-1" in text
    assert "9.25" in text
    assert "3 sampled · 0 stored · 3 on the devices" in text
    assert table.sparkline([4.0, None, 5.0]) == "▁·█"
    assert keys.split("w\x1b[Ap\t") == ["w", "up", "p", "tab"]


def test_a_broker_with_tls_needs_a_ca_and_no_run_is_named(tmp_path):
    with pytest.raises(SettingsError, match="--ca FILE"):
        find("mqtts://broker.example:8883", None, tmp_path, {})
    with pytest.raises(SettingsError, match="not the state folder of a run"):
        find(None, None, tmp_path, {})
    with pytest.raises(SettingsError, match="password stands in a URL"):
        find("mqtt://me:secret@broker.example", None, tmp_path, {})
