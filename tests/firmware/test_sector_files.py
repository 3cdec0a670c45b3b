"""checks_sector_files.py on CPython and on MicroPython with its littlefs; what a reading costs, on that littlefs."""

import json
import subprocess

import pytest

import checks_sector_files
from checks import FIRMWARE, HERE, names, run

ONLY_LITTLEFS = (
    "check_a_full_disk_is_an_error_and_loses_nothing",
    "check_power_cuts_at_all_times_lose_nothing",
    "check_a_cut_at_any_step_of_a_takeover_is_mended",
)


@pytest.mark.parametrize("name", names(checks_sector_files))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_sector_files(where, name, request):
    if where == "cpython" and name in ONLY_LITTLEFS:
        pytest.skip("of littlefs")
    run(where, checks_sector_files, name, request, "24m")


def test_a_reading_costs_at_most_300_flash_reads_and_2_erases(micropython):
    """The mean of a ring that has gone round; and no reading costs more than 2 erases or 5,000 reads."""
    words = [*micropython, "-X", "heapsize=8m", str(HERE / "file_flash_costs.py"), FIRMWARE, "5000"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    costs = json.loads(done.stdout)
    reading = costs["reading"]
    assert costs["readings"] == 5000 and costs["capacity"] == 3486
    assert 20 < reading["reads"]["mean"] <= 300 and reading["reads"]["worst"] <= 5000, costs
    assert 0.5 < reading["erases"]["mean"] <= 2 and reading["erases"]["worst"] <= 2, costs
    assert costs["start"]["reads"] <= 3000, costs
