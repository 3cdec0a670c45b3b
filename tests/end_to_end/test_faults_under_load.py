"""Each fault for some seconds while readings keep coming: nothing lost or doubled, what waits is accounted for.

`python -m tools bench faults` lets each last for a minute.
"""

import time

import pytest

from tests.end_to_end.faults import FAULTS, Unavailable, run
from tests.end_to_end.stage import Servers
from tests.servers import program

OUTAGE = 3.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    for name in ("mosquitto", "weed", "postgres"):
        if not program(name):
            pytest.skip(f"{name} is not installed: python -m tools setup --for test")
    with pytest.MonkeyPatch.context() as patch, Servers(tmp_path_factory.mktemp("faults"), patch.setenv) as servers:
        yield servers


@pytest.mark.parametrize(
    ("fault", "database"),
    [pytest.param(fault, kind, id=f"{fault.name}-{kind}") for fault in FAULTS for kind in fault.databases],
)
def test_nothing_is_lost_or_doubled_and_the_ledger_says_what_waits(servers, fault, database):
    try:
        report = run(servers, fault, database, time.time_ns() % 1_000_000_000, OUTAGE)
    except Unavailable as error:
        pytest.skip(str(error))
    # The load went on: without readings in the fault there would be nothing to lose.
    assert report.during > 10
