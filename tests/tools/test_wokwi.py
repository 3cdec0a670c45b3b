"""python -m tools wokwi: the diagram's check, what is started, and the files that Wokwi reads."""

import fcntl
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from backend.devices import Registry
from backend.errors import SettingsError
from backend.run import micropython as interpreters
from backend.run.layout import TOOLS
from tests.servers import wait_for
from tests.tools import stand_in
from tools import mpy
from tools.commands import tools
from tools.image import device_settings, filesystem, partitions
from tools.simulation import scenario as simulated
from tools.wokwi import board, launch
from tools.wokwi.check import BOARD, check, known_parts
from tools.wokwi.diagram import DiagramError, parse

ROOT = Path(__file__).parents[2]
DIAGRAM = ROOT / "diagram.json"
SETTINGS = ROOT / "firmware" / "wokwi" / "settings.json"
# What MicroPython 1.26 and newer makes of the rest of 4 MiB of flash: its own table names no filesystem.
STOCK_VFS = 0x200000
SCENARIOS = sorted((ROOT / "tests" / "scenarios" / "wokwi").glob("*.yaml"))


@pytest.fixture
def fields():
    """diagram.json, to be spoilt."""
    return json.loads(DIAGRAM.read_text())


@pytest.fixture
def settings():
    return json.loads(SETTINGS.read_text())


def rules(fields, settings):
    pins = board.pins(ROOT / "firmware", settings)
    return [mistake.rule for mistake in check(parse(json.dumps(fields)), settings, pins)]


def part(fields, name):
    return next(one for one in fields["parts"] if one["id"] == name)


def rewire(fields, before, after):
    """One end of one wire goes elsewhere."""
    for wire in fields["connections"]:
        if before in wire[:2] and after not in wire[:2]:
            wire[wire.index(before)] = after
            return
    raise AssertionError(before)


def cut(fields, *pins):
    """Take away the wires between these pins."""
    kept = [wire for wire in fields["connections"] if not set(pins) <= set(wire[:2])]
    assert len(kept) < len(fields["connections"])
    fields["connections"] = kept


def take_out(fields, name):
    fields["parts"] = [one for one in fields["parts"] if one["id"] != name]
    fields["connections"] = [
        wire for wire in fields["connections"] if not any(end.startswith(name + ":") for end in wire[:2])
    ]


def test_the_diagram_is_right(fields, settings):
    assert rules(fields, settings) == []


# What is spoilt: (how, the rules that must notice).
MISTAKES = {
    "wrong pin name": (lambda f, s: rewire(f, "probe:DQ", "probe:DATA"), {"unknown-pin", "sensor-pin", "pull-up"}),
    "a pin the board has not": (lambda f, s: rewire(f, "esp:15", "esp:GPIO15"), {"unknown-pin", "sensor-pin"}),
    "missing pull-up": (lambda f, s: take_out(f, "pull-up"), {"pull-up"}),
    "pull-up to ground": (
        lambda f, s: cut(f, "pull-up:2", "esp:3V3") or join(f, "pull-up:2", "esp:GND.1"),
        {"pull-up"},
    ),
    "pull-up far too large": (lambda f, s: part(f, "pull-up")["attrs"].update(value="1000000"), {"pull-up"}),
    "missing serial wires": (
        lambda f, s: cut(f, "$serialMonitor:RX", "esp:TX") or cut(f, "$serialMonitor:TX", "esp:RX"),
        {"serial"},
    ),
    "serial wires not crossed": (
        lambda f, s: (
            rewire(f, "$serialMonitor:RX", "$serialMonitor:XX"),
            rewire(f, "$serialMonitor:TX", "$serialMonitor:RX"),
        ),
        {"serial", "unknown-pin"},
    ),
    "duplicate id": (lambda f, s: f["parts"].append(dict(part(f, "room"), left=500)), {"duplicate-id", "settings"}),
    "wrong sensor pin": (lambda f, s: rewire(f, "esp:15", "esp:16"), {"sensor-pin"}),
    "unknown part": (lambda f, s: part(f, "probe").update(type="wokwi-ds18b21"), {"unknown-part", "settings"}),
    "unknown attribute": (lambda f, s: part(f, "probe")["attrs"].update(temprature="4"), {"unknown-attribute"}),
    "attribute that is no text": (lambda f, s: part(f, "room")["attrs"].update(humidity=45), {"attribute-value"}),
    "wire to a part that is gone": (lambda f, s: join(f, "lcd:SDA", "esp:21"), {"loose-wire"}),
    "the MAC of every Wokwi board": (
        lambda f, s: part(f, "esp")["attrs"].update(macAddress="24:0A:C4:00:01:10"),
        {"mac"},
    ),
    "no MAC": (lambda f, s: part(f, "esp")["attrs"].pop("macAddress"), {"mac"}),
    "a MAC of many": (lambda f, s: part(f, "esp")["attrs"].update(macAddress="01:00:5e:00:00:01"), {"mac"}),
    "no ground at the sensor": (lambda f, s: cut(f, "probe:GND", "esp:GND.2"), {"power"}),
    "sensor on 5 V": (lambda f, s: rewire(f, "esp:3V3", "esp:5V"), {"power"}),
    "supply and ground joined": (lambda f, s: join(f, "esp:3V3", "esp:GND.3"), {"short"}),
    "two pins joined": (lambda f, s: join(f, "esp:4", "esp:15"), {"short"}),
    "LED the wrong way round": (
        lambda f, s: (
            rewire(f, "status:A", "status:X"),
            rewire(f, "status:C", "status:A"),
            rewire(f, "status:X", "status:C"),
        ),
        {"led"},
    ),
    "LED without a resistor": (lambda f, s: take_out(f, "led-resistor") or join(f, "status:A", "esp:2"), {"led"}),
    "button on one contact": (lambda f, s: rewire(f, "button:2.r", "button:1.l"), {"button", "short"}),
    "two boards": (lambda f, s: f["parts"].append(dict(part(f, "esp"), id="esp2")), {"board"}),
    "flash of another size": (lambda f, s: part(f, "esp")["attrs"].update(flashSize="8"), {"flash-size"}),
    "a sensor that the settings do not name": (lambda f, s: s["sensors"].pop(0), {"settings"}),
    "a sensor that is not there": (lambda f, s: take_out(f, "room"), {"settings"}),
    "another device id": (lambda f, s: part(f, "probe")["attrs"].update(deviceID="a1a1a1a1a1a2"), {"settings"}),
    "a device id that is none": (
        lambda f, s: part(f, "probe")["attrs"].update(deviceID="a1"),
        {"device-id", "settings"},
    ),
    "pins moved by the settings": (lambda f, s: s.update(pins={"onewire": 5}), {"sensor-pin"}),
    "a DHT22 left to the search": (lambda f, s: s.pop("sensors"), {"settings"}),
}


def join(fields, one, other):
    fields["connections"].append([one, other, "red", []])


@pytest.mark.parametrize("name", MISTAKES)
def test_a_seeded_mistake_is_caught(name, fields, settings):
    spoil, noticed = MISTAKES[name]
    spoil(fields, settings)
    assert set(rules(fields, settings)) == noticed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "version"),
        ('{"version": 2, "parts": [], "connections": []}', "version"),
        ('{"version": 1, "parts": {}, "connections": []}', "no list parts"),
        ('{"version": 1, "parts": [], "connections": null}', "no list connections"),
        ('{"version": 1, "parts": [{"type": "wokwi-led"}], "connections": []}', "has an id"),
        ('{"version": 1, "parts": [{"type": "x", "id": "y", "attrs": []}], "connections": []}', "attrs"),
        ('{"version": 1, "parts": [], "connections": [["a:1"]]}', "two ends"),
        ('{"version": 1, "parts": [], "connections": [[1, 2, "", []]]}', "two ends"),
    ],
)
def test_what_is_no_diagram_is_named(text, why):
    with pytest.raises(DiagramError, match=why):
        parse(text)


def test_what_the_diagram_may_do_otherwise(fields, settings):
    """Not our drawing is asked for, but a circuit that works."""
    rewire(fields, "button:1.r", "button:2.l")
    rewire(fields, "button:2.r", "button:1.l")
    rewire(fields, "esp:GND.2", "esp:GND.3")
    part(fields, "pull-up")["attrs"]["value"] = "2200"
    settings["pins"] = {"dht": 27}
    rewire(fields, "esp:15", "esp:27")
    assert rules(fields, settings) == []


def test_the_pins_are_those_of_the_firmware():
    assert board.pins(ROOT / "firmware", {})["onewire"] == 4
    assert board.pins(ROOT / "firmware", {"pins": {"onewire": 5}})["onewire"] == 5


def test_every_pin_of_the_firmware_is_on_the_board():
    assert {str(number) for number in board.pins(ROOT / "firmware", {}).values()} <= set(known_parts()[BOARD]["pins"])


# -- the other files that Wokwi reads


def test_the_settings_for_wokwi_are_the_firmwares(settings):
    assert device_settings.read(SETTINGS, ROOT / "firmware")
    assert settings["networks"] == [{"ssid": "Wokwi-GUEST"}]
    assert "password" not in SETTINGS.read_text()


def test_no_other_file_of_the_firmware_names_the_open_network():
    """A blank real board never joins an open network by itself."""
    sources = list((ROOT / "firmware").rglob("*.py"))
    assert sources and not [path for path in sources if "Wokwi-GUEST" in path.read_text()]


def test_wokwi_toml_names_what_is_built():
    found = tomllib.loads((ROOT / "wokwi.toml").read_text())["wokwi"]
    assert found["version"] == 1
    assert Path(found["firmware"]) == Path("var/build/wokwi/flasher_args.json")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_is_one_for_this_diagram(path, fields):
    """As wokwi-cli checks it; and its parts, pins and controls are there."""
    found = yaml.safe_load(path.read_text())
    assert isinstance(found["name"], str) and found["version"] == 1 and set(found) == {"name", "version", "steps"}
    types, known = {one["id"]: one["type"] for one in fields["parts"]}, known_parts()
    for step in found["steps"]:
        (action,) = set(step) - {"name"}
        value = step[action]
        if action == "delay":
            assert re.fullmatch(r"\d+ms", value)
        elif action == "set-control":
            assert value["control"] in known[types[value["part-id"]]]["attrs"] and isinstance(
                value["value"], (int, float)
            )
        elif action == "expect-pin":
            assert value["pin"] in known[types[value["part-id"]]]["pins"] and value["value"] in (0, 1)
        else:
            assert action in ("wait-serial", "write-serial") and isinstance(value, str) and value
            assert action == "wait-serial" or len(value) < 256, "the board's receive buffer"


def test_a_reading_is_played_without_wokwi_too():
    """Its steps are those that `tools simulate` has as well."""
    assert simulated.read(SCENARIOS[0].parent / "reading.yaml").steps


def test_what_a_scenario_types_leaves_settings_that_the_firmware_takes(tmp_path):
    """On MicroPython: the lines of network.yaml, with a machine that only says that it was reset."""
    command = interpreters.find(os.environ)
    if not command:
        pytest.skip("NO MICROPYTHON: python -m tools setup --for test")
    (tmp_path / "machine.py").write_text("def reset():\n    print('reset')\n")
    (tmp_path / "settings.json").write_text(SETTINGS.read_text())
    steps = yaml.safe_load((SCENARIOS[0].parent / "network.yaml").read_text())["steps"]
    typed = [step["write-serial"] for step in steps if len(step.get("write-serial", "")) > 1]
    for line, ssid in zip(typed, ("nowhere", "Wokwi-GUEST"), strict=True):
        assert line.endswith("\r")
        words = [*command, "-c", "import sys; sys.path.insert(0, ''); " + line.strip()]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout == "reset\n"
        found = json.loads(device_settings.read(tmp_path / "settings.json", ROOT / "firmware"))
        assert found["networks"] == [{"ssid": ssid}]
    assert found == json.loads(SETTINGS.read_text())


def test_the_workflow_plays_them_where_there_is_a_token():
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "wokwi.yml").read_text())["jobs"]["wokwi"]
    play = next(step for step in job["steps"] if "--scenario" in step.get("run", ""))
    assert "tests/scenarios/wokwi/*.yaml" in play["run"] and play["if"] == "env.HAS_TOKEN == 'true'"
    assert [step for step in job["steps"] if "WOKWI_CLI_TOKEN" in str(step.get("env"))] == [play]


# -- what is started


def test_the_editor_comes_before_the_cli():
    both = {"code": "/bin/code", "wokwi-cli": "/bin/wokwi-cli"}.get
    assert launch.choose(ROOT, {launch.TOKEN: "wok_1"}, both).command[0] == "/bin/code"
    cli = launch.choose(ROOT, {launch.TOKEN: "wok_1"}, {"wokwi-cli": "/bin/wokwi-cli"}.get)
    assert cli.command[0] == "/bin/wokwi-cli" and "wok_1" not in cli.command
    assert launch.choose(ROOT, {}, {"wokwi-cli": "/bin/wokwi-cli"}.get) is None


@pytest.mark.parametrize(
    ("programs", "environ", "why"),
    [({}, {}, "not installed"), ({"wokwi-cli": "/bin/wokwi-cli"}, {}, "WOKWI_CLI_TOKEN is not set")],
)
def test_a_scenario_without_wokwi_says_what_is_missing(programs, environ, why):
    with pytest.raises(SettingsError, match=why):
        launch.scenario(ROOT, SCENARIOS[0], environ, programs.get)


@pytest.fixture
def build():
    """var/build/wokwi for this test alone: wokwi.toml names one place, and tests run beside each other."""
    folder = ROOT / "var" / "build"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".wokwi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "wokwi"


@pytest.fixture
def wokwi_cli(tmp_path, monkeypatch):
    """A wokwi-cli that notes what it is asked, and ends with 42 as at a timeout."""
    program = tmp_path / "bin" / "wokwi-cli"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\nexit 42\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv(launch.TOKEN, "wok_" + "s" * 40)
    return lambda: (tmp_path / "asked").read_text().splitlines()


def test_a_scenario_is_played_on_a_fresh_image(tmp_path, wokwi_cli, build):
    source = stand_in.write(tmp_path / "ESP32_GENERIC.bin")
    state = tmp_path / "state"
    words = ["wokwi", "--scenario", str(SCENARIOS[0]), "--micropython", str(source), "--state-dir", str(state)]
    done = CliRunner().invoke(tools, words)
    assert done.exit_code == 42, done.output
    asked = wokwi_cli()
    assert asked[asked.index("--scenario") + 1] == str(SCENARIOS[0]) and asked[-1] == str(ROOT)
    known = Registry(state).read()["wokwi"]
    assert known.mac == "240ac4746801"
    made = json.loads((build / "settings.json").read_text())
    assert made["broker"]["user"] == "wokwi" and made["broker"]["password"] == str(known.password)
    assert str(known.password) not in done.output and os.environ[launch.TOKEN] not in done.output
    again = CliRunner().invoke(tools, words)
    assert again.exit_code == 42 and Registry(state).read()["wokwi"].password == known.password


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"device": "a", "sensors": [{"kind": "dht22"}]}', '{"device": "a", "pins": 3}']
)
def test_bad_settings_end_with_a_sentence(tmp_path, text):
    bad = tmp_path / "settings.json"
    bad.write_text(text)
    done = CliRunner().invoke(tools, ["wokwi", "--check", "--settings", str(bad)])
    assert done.exit_code == SettingsError.exit_code and str(bad) in done.output, done.output


def test_a_micropython_for_another_chip_is_not_started(tmp_path, wokwi_cli, build):
    source = stand_in.write(tmp_path / "s3.bin", chip="esp32s3")
    words = ["--micropython", str(source), "--settings", str(SETTINGS), "--scenario", str(SCENARIOS[0])]
    done = CliRunner().invoke(tools, ["wokwi", *words])
    assert done.exit_code == SettingsError.exit_code and "for the esp32s3" in done.output
    assert not (tmp_path / "asked").exists()


def test_a_diagram_with_mistakes_is_neither_built_nor_started(tmp_path, fields, wokwi_cli):
    take_out(fields, "pull-up")
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(fields))
    done = CliRunner().invoke(tools, ["wokwi", "--diagram", str(bad), "--scenario", str(SCENARIOS[0])])
    assert done.exit_code == DiagramError.exit_code
    assert "probe:DQ needs a resistor" in done.output and "1 mistake." in done.output
    assert not (tmp_path / "asked").exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The files of a project on wokwi.com, by name."""
    folder = tmp_path_factory.mktemp("project")
    done = CliRunner().invoke(tools, ["wokwi", "--project", str(folder)])
    assert done.exit_code == 0 and f"{len(list(folder.iterdir()))} files" in done.output, done.output
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_project_for_wokwi_com_is_text_of_short_lines(project):
    assert set(project) == {"main.py", "start.py", "packfs.py", "thermograph.txt", "settings.json", "diagram.json"}
    for content in project.values():
        assert max(map(len, content.decode("utf-8").split("\n"))) <= 1024
    attrs = [one["attrs"] for one in json.loads(project["diagram.json"])["parts"] if one["type"] == BOARD]
    assert attrs[0]["env"].startswith("micropython-")
    assert project["start.py"] == (ROOT / "firmware" / "main.py").read_bytes()


def interpreter32():
    """A MicroPython whose objects have an ESP32's sizes, or None."""
    folder = TOOLS / "micropython-i386" / "usr"
    loader = folder / "lib" / "i386-linux-gnu" / "ld-linux.so.2"
    if not loader.is_file():
        return None
    return [str(loader), "--library-path", str(loader.parent), str(folder / "bin" / "micropython")]


def test_it_is_unpacked_in_the_first_part_of_a_boards_heap(tmp_path, project):
    """An ESP32's heap begins with 56,000 bytes; more than that would make it grow before the firmware is loaded."""
    command = interpreter32()
    if command is None:
        pytest.skip("NO 32-BIT MICROPYTHON in var/tools/micropython-i386")
    flash, code = tmp_path / "flash", tmp_path / "code.py"
    flash.write_bytes(filesystem.build(project, STOCK_VFS))
    board_disk = ROOT / "tests" / "firmware" / "board_disk.py"

    def run(text, heap):
        code.write_text("import gc\n" + text)
        words = ["-X", f"heapsize={heap}", board_disk, flash, board_disk.with_name("fakes"), code]
        done = subprocess.run(list(map(str, [*command, *words])), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    fakes = run("gc.collect(); print(gc.mem_alloc())", 500_000)
    run("import main; main.unpack(); print(gc.mem_alloc())", 56_000 + fakes)
    found = filesystem.read(flash.read_bytes())
    assert found["thermograph.pack"] == mpy.release(ROOT / "firmware")["thermograph.pack"]
    assert set(found) == {*project, "thermograph.pack"}


def told(command, heap, folder, flash, wanted):
    """The console of a board with this flash, until `wanted` is on it, or the board ends. heap: bytes, all there is."""
    image, console = folder / "flash.bin", folder / "console"
    image.write_bytes(flash)
    boot = ROOT / "tests" / "firmware" / "boot_image.py"
    words = ["-X", f"heapsize={heap}", boot, image, boot.with_name("fakes"), "28a1a1a1a1a1a1", "4.5"]
    said = lambda: console.read_text(errors="replace")  # noqa: E731
    with console.open("w") as out:
        board = subprocess.Popen(
            list(map(str, [*command, *words])), stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: board.poll() is not None or wanted in said(), wanted, 60)
        finally:
            board.kill()
            board.wait()
    return said()


@pytest.mark.parametrize("size", [32, 64])
def test_a_project_on_wokwi_com_takes_its_first_sample(tmp_path, project, size):
    """On MicroPython's own partitions: it unpacks, starts from the pack, joins, reads the thermometer. With 32 bits, an
    ESP32's, in a heap of 103 KiB that cannot grow."""
    command = interpreter32() if size == 32 else interpreters.find(os.environ)
    if not command:
        pytest.skip(f"NO MICROPYTHON of {size} bits: python -m tools setup --for test")
    vfs = partitions.Partition("vfs", partitions.DATA, partitions.LITTLEFS, 0x200000, STOCK_VFS)
    table = [one for one in partitions.TABLE if one.end <= vfs.offset]
    flash = bytearray(b"\xff" * partitions.FLASH_SIZE)
    for offset, data in (
        (partitions.TABLE_OFFSET, partitions.build((*table, vfs))),
        (vfs.offset, filesystem.build(project, STOCK_VFS)),
    ):
        flash[offset : offset + len(data)] = data
    heap = 1_000_000
    if size == 32:
        fakes = re.search(r"fakes (\d+)", told(command, heap, tmp_path, flash, "unpacking"))
        heap = 103 * 1024 + int(fakes[1])
    console = told(command, heap, tmp_path, flash, "sample room 45 %RH")
    assert "sample 28a1a1a1a1a1a12b 4.5 Cel" in console and "sample room 45 %RH" in console, console
    assert console.index("unpacking") < console.index("wifi Wokwi-GUEST"), console


def test_without_wokwi_it_says_what_wokwi_needs(tmp_path, monkeypatch, build):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(launch.TOKEN, raising=False)
    source = stand_in.write(tmp_path / "ESP32_GENERIC.bin")
    done = CliRunner().invoke(tools, ["wokwi", "--micropython", str(source), "--state-dir", str(tmp_path / "state")])
    assert done.exit_code == SettingsError.exit_code
    for text in (
        "licence",
        launch.TOKEN,
        "host.wokwi.internal",
        "internet only",
        "private gateway",
        "nothing was started",
    ):
        assert text in done.output
