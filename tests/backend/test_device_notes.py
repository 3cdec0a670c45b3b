"""What devices say of themselves: only changes count, and are dated."""

import json

import pytest
from sqlalchemy import func, select

from backend.bus import Message
from backend.device_notes import updates
from backend.ingest import Ingest
from backend.models import Device, DeviceRun, Progress
from tests.backend.test_commit import telemetry

pytestmark = pytest.mark.every_database

FOREVER = 2**53


@pytest.fixture
def ingest(database):
    ingest = Ingest(database, bus=None, enrolment="open")
    ingest.commit([telemetry(1)])
    return ingest


def state(received, device="fridge-1", **told):
    return Message(f"thermograph/v1/{device}/state".encode(), json.dumps({"v": 1, **told}).encode(), received)


def found(database, since=0, until=FOREVER):
    with database.read() as connection:
        return updates(connection, 1, since, until)


def test_an_update_is_dated_by_the_first_word_of_it(database, ingest):
    ingest.commit([state(1000, firmware="0.1.0", settings=3), state(2000, firmware="0.1.0", settings=3)])
    assert found(database) == [], "what it ran when it was first heard is no update"
    ingest.commit([state(3000, firmware="0.2.0", settings=3)])
    ingest.commit([state(4000, firmware="0.2.0", settings=4), state(4000, device="other", firmware="9.9.9")])
    ingest.commit([state(5000)])
    ingest.commit([state(6000, firmware="0.1.0", settings=4)])
    firmware = [(3000, "Firmware 0.2.0, before: 0.1.0"), (6000, "Firmware 0.1.0, before: 0.2.0")]
    settings = (4000, "Settings r4, before: r3")
    assert found(database) == [firmware[0], settings, firmware[1]]
    assert found(database, 3001, 6000) == [settings]


def test_a_word_that_comes_again_writes_nothing(database, ingest):
    again = state(1000, firmware="0.1.0")
    ingest.commit([again])
    with database.read() as connection:
        before = connection.scalar(select(Progress.commit))
    ingest.commit([again, again])
    with database.read() as connection:
        assert connection.scalar(select(Progress.commit)) == before
        assert connection.scalar(select(func.count()).select_from(DeviceRun)) == 1
        assert connection.scalars(select(Device.health_at)).all() == [1000]


def test_a_hostile_version_is_shortened_and_has_no_control_characters(database, ingest):
    ingest.commit([state(1000, firmware="1\0" * 100), state(2000, device="fridge-1", firmware="\0<script>" * 20)])
    with database.read() as connection:
        (version,) = connection.scalars(select(DeviceRun.firmware)).all()
    assert len(version) == 64 and version.startswith("\ufffd<script>\ufffd")
