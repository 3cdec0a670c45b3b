"""Settings wanted on the page reach the real firmware, and its state says that they run; Home Assistant hears of it."""

import json

import pytest
from sqlalchemy import select

from backend import wanted_settings
from backend.models import Device as DeviceTable
from tests.end_to_end.world import Part
from tests.servers import wait_for


@pytest.mark.sqlite_only
def test_wanted_settings_run_on_the_device(world):
    announce = Part(world.folder / "announce", "announce", world.settings)
    announce.start()
    try:
        device = world.add_device(interval=60, state_every=1)
        device.sample_more(1)

        def health():
            with world.database.read() as connection:
                return json.loads(connection.scalar(select(DeviceTable.health)) or "{}")

        wait_for(lambda: health().get("settings") == 0, "the device's first state", 60)
        with world.database.write() as connection:
            wanted = wanted_settings.want(connection, device.name, {"interval": 1}, "ann")
        wait_for(lambda: health().get("settings") == wanted.revision, "the state that says it runs", 60)
        device.sample_more(3)
        assert world.assert_nothing_lost_or_doubled(device).lost == 0
    finally:
        announce.close()
