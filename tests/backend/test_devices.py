"""Who may send: identity by MAC, which registering again does not change, and the credentials' files."""

import json
import stat
import threading

import pytest
from sqlalchemy import select

from backend import devices
from backend.devices import Registry, mac_address
from backend.errors import AlreadyThere, SettingsError
from backend.models import Device
from tests.servers import Mosquitto, program

MAC, OTHER = "240ac4000110", "240ac4000111"


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "state")


def test_a_board_stays_the_same_device(registry):
    first = registry.register(None, MAC)
    before = registry.file.read_bytes(), registry.file.stat().st_mtime_ns
    assert first.name == "thermograph-000110"
    assert registry.register(None, MAC) == first
    assert registry.register(first.name, MAC) == first
    assert (registry.file.read_bytes(), registry.file.stat().st_mtime_ns) == before
    assert registry.read() == {first.name: first}
    assert repr(first).count(str(first.password)) == 0


def test_boards_whose_addresses_end_alike_have_different_names(registry):
    assert registry.register(None, MAC).name != registry.register(None, "7c9ebd000110").name


def test_a_provisioned_name_becomes_the_first_boards_that_asks_for_it(registry):
    provisioned = registry.register("fridge-1")
    claimed = registry.register("fridge-1", MAC)
    assert (claimed.mac, claimed.password) == (MAC, provisioned.password)
    assert registry.register(None, MAC) == claimed
    with pytest.raises(AlreadyThere, match="another board"):
        registry.register("fridge-1", OTHER)
    with pytest.raises(AlreadyThere, match="registered as fridge-1"):
        registry.register("fridge-2", MAC)


@pytest.mark.parametrize("name", ["", "Fridge", "a b", "x" * 65, "../x"])
def test_names_that_no_topic_takes_are_refused(registry, name):
    with pytest.raises(SettingsError, match="name"):
        registry.register(name, MAC)
    assert not registry.file.exists()


@pytest.mark.parametrize("name", devices.RESERVED)
def test_names_of_our_own_users_are_refused(registry, name):
    with pytest.raises(AlreadyThere, match="Thermograph itself"):
        registry.register(name, MAC)


@pytest.mark.parametrize("text", ["24:0A:C4:00:01:10", "24-0a-c4-00-01-10", "240ac4.000110", MAC])
def test_an_address_may_be_written_in_many_ways(text):
    assert mac_address(text) == MAC


@pytest.mark.parametrize("text", ["", "24:0a:c4:00:01", "24:0a:c4:00:01:1g", "24:0a:c4:00:01:10:00"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SettingsError, match="MAC"):
        mac_address(text)


def test_the_files_are_the_owners_only(registry):
    registry.register("fridge-1", MAC)
    for name in (devices.FILE, devices.MOSQUITTO_FILE):
        assert stat.S_IMODE((registry.file.parent / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"mac": ""}}', "\udcff"])
def test_a_damaged_file_is_an_error_and_stays(registry, text):
    registry.register("fridge-1", MAC)
    damaged = text.encode("utf-8", "surrogateescape")
    registry.file.write_bytes(damaged)
    if text == "[]":
        registry.file.write_bytes(damaged := b"[1]")
    with pytest.raises(SettingsError, match="list of devices"):
        registry.register("fridge-2", OTHER)
    assert registry.file.read_bytes() == damaged


def test_many_at_once_lose_none(registry):
    names = [f"fridge-{number}" for number in range(20)]
    threads = [threading.Thread(target=registry.register, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(registry.read()) == sorted(names)
    assert not list(registry.file.parent.glob("*.lock"))


def test_the_record_is_made_once_and_confirms_one_that_came_by_itself(database):
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO devices (name, enrolled, created) VALUES ('stranger', false, 1)")
    assert devices.enrol(database, "fridge-1")
    assert not devices.enrol(database, "fridge-1")
    assert devices.enrol(database, "stranger")
    with database.read() as connection:
        rows = connection.execute(select(Device.name, Device.enrolled).order_by(Device.name)).all()
    assert rows == [("fridge-1", True), ("stranger", True)]


@pytest.mark.skipif(not program("mosquitto"), reason="mosquitto is not installed: python -m tools setup --for test")
def test_mosquitto_takes_the_hashed_file_as_it_is(registry, tmp_path):
    from backend.run import probes

    made = registry.register("fridge-1", MAC)
    file = registry.file.parent / devices.MOSQUITTO_FILE
    assert str(made.password) not in file.read_text()
    assert str(made.password) in json.loads(registry.file.read_text())["fridge-1"]["password"]
    server = Mosquitto(tmp_path / "broker")
    conf = server.folder / "mosquitto.conf"
    text = conf.read_text().replace("allow_anonymous true", f"allow_anonymous false\npassword_file {file}")
    conf.write_text(text)
    server.start()
    try:
        assert probes.mqtt_accepts(server.port, made.name, made.password)
        assert not probes.mqtt_accepts(server.port, made.name, "guessed")
    finally:
        server.close()
