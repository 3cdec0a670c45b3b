"""A calibration changes what is shown, never what was measured."""

import pytest
from sqlalchemy import select

from backend import queries
from backend.calibration import Correction, calibrate
from backend.errors import NotFound, SettingsError
from backend.ingest import Ingest
from backend.models import Calibration, Reading
from tests.backend.test_commit import ARRIVAL, telemetry

CHANNEL = ("fridge-1", "28ff641e8216c3a1", "Cel")


@pytest.fixture(autouse=True)
def readings(database):
    Ingest(database, bus=None, enrolment="open").commit([telemetry(1, 2, r=[[0, 0, 4.0], [1000, 0, 6.0]])])


def test_pages_see_corrected_values_and_the_rows_stay_raw(database):
    with database.read() as connection:
        before = queries.commit_number(connection)
        assert [(row.value, row.calibration) for row in queries.newest(connection)] == [(6.0, 0)]
    with database.write() as connection:
        assert calibrate(connection, *CHANNEL, gain=2.0, offset=-0.5) == Correction(1, 2.0, -0.5)
    with database.read() as connection:
        (newest,) = queries.changes(connection, before).newest
        assert (newest.value, newest.calibration) == (11.5, 1)
        (bucket,) = queries.series(connection, newest.channel, ARRIVAL, ARRIVAL + 60_000, 1)
        assert (bucket.min, bucket.mean, bucket.max) == (7.5, 9.5, 11.5)
        assert connection.scalars(select(Reading.value).order_by(Reading.seq)).all() == [4.0, 6.0]


def test_the_newest_revision_counts_and_the_others_are_kept(database):
    for offset in (1.0, 0.25):
        with database.write() as connection:
            calibrate(connection, *CHANNEL, gain=1.0, offset=offset)
    with database.read() as connection:
        assert queries.newest(connection)[0].value == 6.25
        assert connection.scalars(select(Calibration.offset).order_by(Calibration.revision)).all() == [1.0, 0.25]


@pytest.mark.parametrize(("gain", "offset"), [(0, 0), (-1, 0), (float("nan"), 0), (1, float("inf"))])
def test_what_is_no_calibration_is_refused(database, gain, offset):
    with pytest.raises(SettingsError), database.write() as connection:
        calibrate(connection, *CHANNEL, gain=gain, offset=offset)


def test_a_channel_that_is_not_there_is_named(database):
    with pytest.raises(NotFound, match="dht22"), database.write() as connection:
        calibrate(connection, "fridge-1", "dht22", "Cel", gain=1, offset=0)
