"""The README's table is what the arithmetic gives."""

import re

import pytest

from backend.deploy.costs import FLEETS, Fleet, bill, database_gb, objects_a_day, table
from tests.deploy.conftest import DEPLOY


def test_the_readme_shows_the_table_as_it_is_computed():
    assert table() in (DEPLOY / "README.md").read_text(encoding="utf-8")


def test_every_line_s_arithmetic_gives_its_dollars():
    for fleet in FLEETS:
        for item in bill(fleet):
            products = re.sub(r"(?<=\d),(?=\d)|[A-Za-z]+(?=\s|$)", "", item.arithmetic.replace(" x ", " * "))
            factors = [[float(number) for number in re.findall(r"[\d.]+", part)] for part in products.split("+")]
            shown = sum(one[0] * one[1] for one in factors)
            # The factors are rounded for the reader.
            assert item.dollars == pytest.approx(shown, rel=0.03, abs=0.02), item


def test_sizes_by_hand():
    # 10 devices x 2 channels x 1,440 minutes = 28,800 readings a day: an object every 5 minutes, 288 a day.
    assert objects_a_day(FLEETS[0]) == 288
    # 100,000 devices: 288 million readings a day, in objects of 50,000.
    assert objects_a_day(FLEETS[2]) == 5760
    # 1,000 devices x 2,880 x 90 days x 120 bytes x 1.2 = 37.3 GB.
    assert database_gb(Fleet(1_000, "", "", 0, 90)) == 38


def test_the_fleets_use_machines_that_the_template_takes(template):
    for fleet in FLEETS:
        assert re.fullmatch(template["Parameters"]["InstanceType"]["AllowedPattern"], fleet.machine)
        assert re.fullmatch(template["Parameters"]["DatabaseClass"]["AllowedPattern"], fleet.database)
