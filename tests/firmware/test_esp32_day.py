"""The whole firmware on an ESP32 made of fakes: from a start with nothing but settings to a reading that is freed."""

import json
import subprocess

import pytest

from device_bench import Backend, wait_until


@pytest.fixture
def esp32(tmp_path, esp32_words):
    """esp32(options, **settings) starts one; its Console. It is gone after the test."""
    made = []

    def start(options=None, blank=False, **changes):
        made.append(Console(tmp_path / ("esp32-%d" % len(made)), esp32_words, options or {}, blank, changes))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait()


class Console:
    def __init__(self, folder, words, options, blank, changes):
        folder.mkdir()
        self.folder = folder
        self._log = folder.parent / (folder.name + ".log")
        fields = {
            "device": "fridge-1",
            "broker": {"host": "127.0.0.1", "user": "fridge", "password": "cold-secret"},
            "networks": [{"ssid": "Home", "password": "goat cheese"}],
            "interval": 1,
        }
        fields["broker"].update(changes.pop("broker", {}))
        fields.update(changes)
        if not blank:
            (folder / "settings.json").write_text(json.dumps(fields))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(**words(folder, options), stdout=log, stderr=log)

    @property
    def text(self):
        return self._log.read_text()


def test_from_start_to_a_reading_that_is_freed(esp32, mosquitto):
    """Wi-Fi is joined, the sensor found on its pin, the reading kept on the partition, sent, acked and freed."""
    books = Backend(mosquitto.port)
    one = esp32(broker={"port": mosquitto.port})
    wait_until(lambda: books.stored >= 3 and " freed to " in one.text, 20)
    state = json.loads(wait_until(lambda: books.heard.get("state")))
    books.stop()
    assert state["reset"] == "power-on" and state["rssi"] == -61
    assert 8000 < state["block"] <= state["idf"] < 20000 and state["free"] == 105984 - 20112
    assert " memory: heap 20112 live, 85872 free of 105984; ESP-IDF " in one.text
    assert books.rows[1] == 25.0625 and "wifi Home" in one.text
    assert "secret" not in one.text and "goat" not in one.text and "Traceback" not in one.text


def test_a_wrong_wifi_password_does_not_stop_sampling(esp32, mosquitto):
    one = esp32(networks=[{"ssid": "Home", "password": "sheep cheese"}], broker={"port": mosquitto.port})
    wait_until(lambda: one.text.count(" sample ") >= 4 and "wrong password" in one.text, 20)
    assert "sheep" not in one.text


@pytest.mark.parametrize("esp32_words", ["cpython", "micropython"], indirect=True)  # a wake has a fresh heap on a board
def test_on_a_battery_it_sends_by_tens_and_sleeps(esp32, mosquitto):
    """Deep sleeps are skipped; broker, link and acks are real. Readings are a minute apart over all the boots."""
    books = Backend(mosquitto.port)
    one = esp32({"hasty": True}, broker={"port": mosquitto.port}, battery=True, interval=60, send={"every": 10})
    wait_until(lambda: books.stored >= 20, 40)
    books.stop()
    times = [books.times[seq] for seq in sorted(books.times)]
    assert all(abs(b - a - 60000) < 2000 for a, b in zip(times[1:], times[2:])) and not books.gaps
    assert one.text.count("connected to") <= 4 and "Traceback" not in one.text
