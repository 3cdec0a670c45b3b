"""Settings: typed, checked, and silent about secrets."""

import dataclasses

import pytest

from backend.errors import SettingsError
from backend.settings import Secret, Settings


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"THERMOGRAPH_WEB_PORT": "http"}, "THERMOGRAPH_WEB_PORT is 'http'"),
        ({"THERMOGRAPH_ENROLMENT": "maybe"}, "open, closed"),
        ({"THERMOGRAPH_ARCHIVE_AGE": "0"}, "THERMOGRAPH_ARCHIVE_AGE"),
        ({"THERMOGRAPH_COMPACT_AFTER": "-1"}, "THERMOGRAPH_COMPACT_AFTER is -1.0"),
        ({"THERMOGRAPH_INGEST_SHARE": "a/b"}, "THERMOGRAPH_INGEST_SHARE is 'a/b'"),
        ({"THERMOGRAPH_BROKER": "127.0.0.1:1883"}, "mqtt://HOST:PORT"),
        ({"THERMOGRAPH_BROKER": "mqtt://broker:70000"}, "mqtt://HOST:PORT"),
        ({"THERMOGRAPH_BROKER": "mqtt://user:hunter2@broker"}, "THERMOGRAPH_BROKER_PASSWORD"),
        ({"THERMOGRAPH_DATABASE": "postgresql+psycopg://user:hunter2@host/name"}, "THERMOGRAPH_DATABASE_PASSWORD"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_shown(environ, named):
    with pytest.raises(SettingsError) as caught:
        Settings.read(environ)
    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_secrets_do_not_show_but_pass_on_to_other_processes():
    settings = Settings.read({"THERMOGRAPH_BROKER_PASSWORD": "hunter2", "THERMOGRAPH_DATABASE_PASSWORD": "hunter3"})
    assert "hunter" not in repr(settings)
    assert "hunter" not in f"{dataclasses.asdict(settings)}"
    assert Settings.read(settings.environment()) == settings
    assert settings.broker_password == Secret("hunter2")
