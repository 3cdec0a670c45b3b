"""The set-up portal: its pure parts on both interpreters; then as a phone sees it, from a blank start to a reading."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.parse

import pytest
from tests.ports import free_port

import checks_portal
from checks import names, run
from device_bench import Backend, wait_until

GOOD = {"network": "Home", "password": "goat cheese", "host": "127.0.0.1", "user": "fridge", "secret": "cold-secret",
        "device": "fridge-1"}  # fmt: skip


@pytest.mark.parametrize("name", names(checks_portal))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_portal(where, name, request):
    run(where, checks_portal, name, request)


class Phone:
    """A device that starts blank, and what a phone can do to its portal."""

    def __init__(self, folder, words, **options):
        folder.mkdir()
        self.folder = folder
        self.log = folder.parent / "console.log"
        self.web, self.names = free_port(), free_port()
        options["ports"] = [self.web, self.names]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(**words(folder, options), stdout=log, stderr=log)
        wait_until(lambda: "setup: join" in self.log.read_text())
        wait_until(self.answers)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.web)) == 0

    def ask(self, method, path, fields=None, host="127.0.0.1"):
        """(status, location, text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.web, timeout=10)
        headers = {"Host": host, "User-Agent": "CaptiveNetworkSupport/1.0 wispr"}
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.getheader("Location"), answer.read().decode()

    def form(self):
        """The form's page, with the networks found on it."""
        return wait_until(lambda: (text := self.ask("GET", "/")[2]) and "Home (good)" in text and text)

    def send(self, **changes):
        token = re.search('name="token" value="([0-9a-f]+)"', self.form()).group(1)
        return self.ask("POST", "/save", {"token": token, **GOOD, **changes})

    def raw(self, data, seconds=8):
        with socket.create_connection(("127.0.0.1", self.web), seconds) as connection:
            connection.sendall(data)
            answer = b""
            try:
                while chunk := connection.recv(4096):
                    answer += chunk
            except ConnectionResetError:
                pass
            return answer


@pytest.fixture
def phone(tmp_path, esp32_words):
    one = Phone(tmp_path / "esp32", esp32_words)
    yield one
    one.process.kill()
    one.process.wait()


def test_from_a_blank_start_to_the_first_reading(phone, mosquitto):
    """The way of a person: probe, form, wrong password in words, right one, restart, reading."""
    for path, host in (
        ("/generate_204", "connectivitycheck.gstatic.com"),
        ("/hotspot-detect.html", "captive.apple.com"),
        ("/ncsi.txt", "www.msftncsi.com"),
        ("/connecttest.txt", "www.msftconnecttest.com"),
    ):
        status, location, text = phone.ask("GET", path, host=host)
        assert (status, location, text) == (302, "http://127.0.0.1/", "")
    page = phone.form()
    assert len(page) < 4096 and "Caf\u00e9 &lt;b&gt;" in page and "<script" not in page
    assert phone.send(password="sheep cheese", port=mosquitto.port)[:2] == (302, "/status")
    assert "Trying to join <b>Home</b>" in phone.ask("GET", "/status")[2]
    page = wait_until(lambda: (text := phone.ask("GET", "/status")[2]) and "refuses this password" in text and text)
    assert "sheep" not in page and "cold-secret" not in page and 'value="fridge"' in page
    assert phone.send(port=mosquitto.port)[0] == 302
    wait_until(lambda: "Saved." in phone.ask("GET", "/status")[2])
    books = Backend(mosquitto.port)
    kept = json.loads((phone.folder / "settings.json").read_text())
    assert kept["networks"] == [{"ssid": "Home", "password": "goat cheese"}]
    kept["interval"] = 1  # the next start is not to take a minute
    wait_until(lambda: books.heard.get("status") == "online", 20)
    wait_until(lambda: books.stored >= 1, 20)
    books.stop()
    text = phone.log.read_text()
    assert "Traceback" not in text and "cheese" not in text and "secret" not in text


def test_hostile_requests_end_and_the_form_still_works(phone):
    for data in (b"\x16\x03\x01" + b"\0" * 100 + b"\r\n\r\n", b"PUT / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 9000,
                 b"POST /save HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n\r\n",
                 b"POST /save HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8\r\n\r\nhost=%00"):  # fmt: skip
        answer = phone.raw(data)
        assert answer.startswith(b"HTTP/1.1 ") or answer == b"", answer
    assert "old one" in phone.ask("POST", "/save", {**GOOD, "token": "12345678", "port": 1883})[2]
    assert not (phone.folder / "settings.json").exists()
    assert phone.ask("POST", "/elsewhere", {})[0] == 404 and phone.ask("GET", "/favicon.ico")[0] == 404
    assert phone.ask("HEAD", "/")[::2] == (200, "")
    page = phone.send(device="No Name!", port=1883)[2]
    assert "device must be" in page and "No Name!" in page
    assert "<b>x" not in phone.send(host='"><b>x', port="1883")[2]
    assert phone.process.poll() is None and "Traceback" not in phone.log.read_text()


def test_slow_and_silent_clients_do_not_keep_others_out(phone):
    """Five that say nothing fill its four places; after 6 s each makes room."""
    quiet = [socket.create_connection(("127.0.0.1", phone.web)) for _ in range(5)]
    quiet[0].sendall(b"GET / HTTP/1.1\r\n")
    start = time.monotonic()
    status, _, text = wait_until(lambda: answered(phone), 30)
    assert status == 200 and "<form" in text and time.monotonic() - start < 16
    for one in quiet:
        one.close()


def answered(phone):
    try:
        return phone.ask("GET", "/")
    except (TimeoutError, OSError):
        return None


def test_many_at_once_are_all_served(phone):
    phone.form()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: phone.ask("GET", "/"), range(40)))
    assert {status for status, _, _ in answers} == {200} and len({text for _, _, text in answers}) == 1


def test_every_name_leads_to_the_portal(phone):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.sendto(b"rubbish", ("127.0.0.1", phone.names))
        asker.sendto(checks_portal.query(b"captive.apple.com"), ("127.0.0.1", phone.names))
        reply = asker.recv(512)
    assert reply[-4:] == bytes([127, 0, 0, 1]) and struct.unpack_from("!H", reply, 6)[0] == 1


def test_saved_without_joining_if_that_is_wanted(phone):
    page = phone.send(network="", hidden="Far Away", force="1", port="1883")[2]
    assert "Saved." in page and "Far Away" in page
    kept = wait_until(
        lambda: (phone.folder / "settings.json").exists() and (phone.folder / "settings.json").read_text()
    )
    assert json.loads(kept)["networks"][0]["ssid"] == "Far Away"


@pytest.mark.parametrize("esp32_words", ["micropython"], indirect=True)
@pytest.mark.skipif(not shutil.which("chromium"), reason="NO CHROMIUM")
def test_a_browser_shows_the_form(phone, tmp_path):
    """Laid out by a real browser at a phone's width; the picture is left for a person to look at."""
    phone.form()
    phone.send(password="short", port=1883)
    picture = tmp_path / "portal.png"
    words = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --hide-scrollbars"
    words += " --disable-component-update --disable-sync --window-size=360,900 --user-data-dir=%s" % (
        tmp_path / "profile"
    )
    url = "http://127.0.0.1:%d/" % phone.web
    done = subprocess.run(
        ["chromium", *words.split(), "--screenshot=%s" % picture, url], capture_output=True, text=True, timeout=60
    )
    assert picture.exists(), done.stderr[-500:]
    assert picture.read_bytes()[16:24] == struct.pack(">II", 360, 900)
