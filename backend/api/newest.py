"""Where this app's views have the newest readings from: Redis where one is configured, else SQL."""

from flask import current_app

from ..newest_cache import NewestReadings

EXTENSION = "newest_readings"


def source() -> NewestReadings:
    found: NewestReadings = current_app.extensions[EXTENSION]
    return found
