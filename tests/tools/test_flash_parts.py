"""The parts of `flash`: finding ports, releases, the chip's image, the console's meaning, the Wi-Fi, what is masked."""

import contextlib
import hashlib
import http.server
import io
import stat
import threading
from types import SimpleNamespace

import pytest

from backend.errors import SettingsError
from backend.settings import Secret
from tests.ports import free_port
from tests.tools import stand_in
from tests.tools.fake_board import powered
from tools.board import asking, console, files, follow, home, mask, ports, releases
from tools.board.errors import (
    BoardError,
    ChipFailed,
    DnsFailed,
    FlashFailed,
    IngestFailed,
    MemoryFailed,
    PortFailed,
    SensorFailed,
    StartFailed,
    TlsFailed,
    WifiFailed,
)
from tools.board.repl import FEED


def port(device, vid=0x10C4):
    return SimpleNamespace(device=device, description="CP2102", vid=vid)


def test_every_failure_has_an_exit_code_of_its_own():
    codes = [kind.exit_code for kind in BoardError.__subclasses__()]
    assert len(codes) >= 9 and sorted(set(codes)) == sorted(codes)
    assert not set(codes) & {0, 1, 2, 3, 65, 66, 69, 70, 71, 73, 78}


# -- ports


def test_the_only_board_is_taken_and_ports_without_a_usb_id_do_not_count():
    assert ports.choose([port("/dev/ttyS0", None), port("/dev/ttyUSB0")], None) == "/dev/ttyUSB0"


def test_no_board_and_several_boards_are_said_with_what_was_seen():
    with pytest.raises(PortFailed) as caught:
        ports.choose([port("/dev/ttyS0", None)], None)
    assert "/dev/ttyS0" in caught.value.evidence
    with pytest.raises(PortFailed) as caught:
        ports.choose([port("/dev/ttyUSB0"), port("/dev/ttyUSB1")], None)
    assert "/dev/ttyUSB1" in caught.value.evidence and "--port" in caught.value.advice


def test_several_boards_are_asked_about():
    assert ports.choose([port("/dev/ttyUSB0"), port("/dev/ttyUSB1")], lambda found: found[1]) == "/dev/ttyUSB1"


@pytest.mark.parametrize(
    ("address", "has"),
    [("/dev/ttyUSB0", True), ("COM3", True), ("socket://localhost:5555", False), ("rfc2217://localhost:4000", False)],
)
def test_only_a_real_port_leads_to_a_rom_loader(address, has):
    assert ports.has_rom_loader(address) is has


# -- releases

CONTENT = bytes(range(256)) * 700


@pytest.fixture
def site(monkeypatch):
    """A web server that has what `served` says, and the pinned release with CONTENT's hash."""
    served = {"body": CONTENT, "length": len(CONTENT), "asked": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            served["asked"] += 1
            self.send_response(served.get("status", 200))
            self.send_header("Content-Length", str(served["length"]))
            self.end_headers()
            self.wfile.write(served["body"])

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    pinned = releases.Release("ESP32_GENERIC", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(releases.RELEASES, "ESP32", pinned)
    served["url"] = f"http://127.0.0.1:{server.server_port}"
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_pin_is_the_official_one():
    pinned = releases.RELEASES["ESP32"]
    assert pinned.file == "ESP32_GENERIC-20251209-v1.27.0.bin"
    assert pinned.sha256 == "aa4be80ec695911ba0f13f7558e559ce540f90efbf40c23b853ca49162136b9f"


def test_a_release_is_downloaded_once_with_progress(site, tmp_path):
    seen = []
    file = releases.fetch("ESP32", tmp_path, lambda done, total: seen.append((done, total)), site["url"])
    assert file.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 1
    assert releases.fetch("ESP32", tmp_path, None, site["url"]) == file
    assert site["asked"] == 1


def test_a_damaged_copy_in_the_cache_is_fetched_again(site, tmp_path):
    file = releases.fetch("ESP32", tmp_path, None, site["url"])
    file.write_bytes(CONTENT[:-1])
    assert releases.fetch("ESP32", tmp_path, None, site["url"]).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"body": CONTENT[::-1]}, "is not ESP32_GENERIC"),
        ({"length": len(CONTENT) + 10}, "download"),
        ({"status": 404}, "could not be downloaded"),
    ],
)
def test_what_is_not_whole_and_right_is_refused_and_not_kept(site, tmp_path, changes, words):
    site.update(changes)
    with pytest.raises(FlashFailed, match=words) as caught:
        releases.fetch("ESP32", tmp_path / "cache", None, site["url"])
    assert "--micropython" in caught.value.advice
    assert not list(tmp_path.rglob("*.bin")) and not list(tmp_path.rglob("*.part"))


def test_no_network_is_said_with_what_to_do(tmp_path):
    with pytest.raises(FlashFailed) as caught:
        releases.fetch("ESP32", tmp_path, None, f"http://127.0.0.1:{free_port()}")
    assert "refused" in caught.value.evidence and "--micropython" in caught.value.advice


def test_a_release_without_a_known_hash_has_to_be_given(tmp_path):
    with pytest.raises(FlashFailed, match="No SHA-256") as caught:
        releases.fetch("ESP32-C3", tmp_path)
    assert "ESP32_GENERIC_C3" in caught.value.advice


# -- the console


def story(*lines):
    told = console.Story()
    for at, line in enumerate(lines):
        told.feed(line, float(at))
    return told


BOOT = "12:00:00Z boot 1 stream 9f3a1c02 holds 1 to 0, freed to 0"
LOST = "12:00:01Z link lost: {}; again in 900 ms"


def test_the_way_of_a_board_that_is_well():
    told = story(
        "ets Jul 29 2019 12:21:46",
        BOOT,
        "+0.9s wifi a name with spaces 192.168.1.7",
        "12:00:02Z connected to 192.168.1.2:1883",
        "12:00:03Z sample 28ff641e8216c3a1 fault:crc Cel seq 17",
        "12:00:04Z sample 28ff641e8216c3a1 4.5 Cel seq 18",
    )
    assert (told.stream, told.connected) == ("9f3a1c02", "192.168.1.2:1883")
    assert told.joined == "a name with spaces 192.168.1.7"
    assert told.first == console.Sample("28ff641e8216c3a1", "fault:crc", "Cel", 17, 4.0)
    assert told.failure() is None and not told.stored_as_told
    told.feed("12:00:05Z freed to 16, kept 2", 6.0)
    assert not told.stored_as_told
    told.feed("12:00:05Z freed to 18, kept 0", 7.0)
    assert told.stored_as_told


@pytest.mark.parametrize(
    ("why", "times", "kind"),
    [
        ("wifi: home: wrong password", 2, WifiFailed),
        ("wifi: home: not found", 4, WifiFailed),
        ("dns: no answer", 3, DnsFailed),
        ("tls: the broker's certificate is refused: x", 3, TlsFailed),
        ("tls: out of memory: ESP-IDF has 21,340 bytes free, a TLS handshake needs 38,000", 3, MemoryFailed),
        (
            "tls: out of memory: ESP-IDF came down to 900 bytes free; the broker's certificate is refused: x",
            3,
            MemoryFailed,
        ),
        ("mqtt: OSError: [Errno 12] ENOMEM", 3, MemoryFailed),
        ("wifi: out of memory: ESP-IDF came down to 0 bytes free; home: wrong password", 2, MemoryFailed),
    ],
)
def test_a_step_that_fails_again_and_again_is_named(why, times, kind):
    lines = [LOST.format(why)] * times
    assert story(BOOT, *lines[:-1]).failure() is None
    failure = story(BOOT, *lines).failure()
    assert type(failure) is kind and failure.evidence == why


def test_what_passes_by_itself_is_waited_for():
    lines = [LOST.format("wifi: joining")] * 9 + [
        LOST.format("tls: the clock is not set, so no certificate can be")
    ] * 9
    told = story(BOOT, *lines)
    assert told.failure() is None
    assert type(told.overdue()) is TlsFailed


def test_a_connection_forgives_what_was_before():
    told = story(BOOT, *[LOST.format("tcp: x")] * 2, "12:00:02Z connected to a:1", LOST.format("tcp: x"))
    assert told.failure() is None


def test_what_it_waited_for_when_the_time_was_up():
    assert type(story().overdue()) is StartFailed
    assert type(story(BOOT).overdue()) is SensorFailed
    sampled = (BOOT, "+1.0s sample a 1.0 Cel seq 1", "+1.1s connected to b:1")
    assert type(story(*sampled).overdue()) is IngestFailed


def test_a_driver_that_fails_is_the_evidence():
    failure = story(BOOT, "12:00:01Z sensor: OSError: [Errno 19] ENODEV at sht3x.py").overdue()
    assert type(failure) is SensorFailed and "ENODEV" in failure.evidence


@pytest.mark.parametrize("line", ["settings: broker.port must be a whole number", "ImportError: no module named 'x'"])
def test_a_firmware_that_does_not_start(line):
    failure = story("rst:0x1", line).failure()
    assert type(failure) is StartFailed and failure.evidence in line


def test_a_start_without_memory_is_no_fault_of_the_settings():
    failure = story(
        "crash 1 in a row: MemoryError: memory allocation failed, allocating 2048 bytes at link.py"
    ).failure()
    assert type(failure) is MemoryFailed and failure.exit_code == 22 and "2048" in failure.evidence


def test_noise_on_the_line_means_nothing():
    told = story("\x00\xff\ufffd", "x" * 5000, "sample seq 1", "freed to x, kept y")
    assert told.failure() is None and told.first is None and told.freed == 0


class Leaving:
    """A port that leaves at the board's reset, and comes back after so many attempts to open it."""

    in_waiting = 4

    def __init__(self, attempts):
        self.attempts = attempts
        self.is_open = True

    def read(self, size):
        if not self.is_open or self.attempts:
            raise OSError("device disconnected")
        return b"ab\r\n"

    def close(self):
        self.is_open = False

    def open(self):
        self.attempts -= 1
        if self.attempts:
            raise OSError("no such device")
        self.is_open = True


def test_a_port_that_leaves_at_a_reset_is_waited_for(monkeypatch):
    lines = follow.Lines(Leaving(3))
    assert lines.read() == []
    assert lines.read() == ["ab"]
    monkeypatch.setattr(follow, "GONE", 0.0)
    with pytest.raises(ChipFailed, match="gone"):
        follow.Lines(Leaving(3)).read()


# -- files


def digest(text):
    return hashlib.sha256(text).hexdigest()


class Disk:
    """A board's files, behind what `synchronise` asks of its prompt. fuse: so many acts, and the cable is out."""

    def __init__(self, held, fuse=None):
        self.held, self.fuse, self.acts = dict(held), fuse, 0

    def hashes(self, paths):
        ours = [name for name in self.held if name in paths or name.partition("/")[0] in paths]
        return {name: digest(self.held[name]) for name in ours}

    def write(self, name, content):
        self._act()
        self.held[name] = content

    def remove(self, names):
        for name in names:
            self._act()
            del self.held[name]

    def run(self, code):
        assert code == FEED or "rmdir" in code

    def _act(self):
        self.acts += 1
        if self.fuse is not None and self.acts > self.fuse:
            raise ChipFailed("The cable is out.", "")


# What a board of the field holds, and what a newer one does.
FOLDERS = {"main.py": b"old", "thermograph/node.mpy": b"1", "thermograph/boards/a.mpy": b"2", "umqtt/simple.mpy": b"3"}
PACKED = {"thermograph.pack": b"older", "packfs.mpy": b"fs", "main.py": b"old"}
THEIRS = {"settings.json": b"{}", "outbox/0": b"readings", "lib/own.py": b"mine"}
WANTED = {"thermograph.pack": b"all", "packfs.mpy": b"fs", "main.py": b"new"}


def copy(disk):
    return files.synchronise(disk, WANTED, True, lambda done, total: None)


def test_only_what_differs_is_copied_and_what_is_not_ours_any_more_goes():
    disk = Disk({**FOLDERS, **THEIRS, "packfs.mpy": b"fs"})
    assert copy(disk) == (2, 3)
    assert disk.held == {**WANTED, **THEIRS}
    assert copy(disk) == (0, 0)
    assert files.folders(["thermograph/node.mpy", "thermograph/boards/a.mpy", "x.py"]) == [
        "thermograph/boards",
        "thermograph",
    ]


@pytest.mark.parametrize("before", [FOLDERS, PACKED, {}])
def test_a_cut_leaves_a_board_that_starts_and_the_next_run_ends_the_work(before):
    """main.py starts what it came with: the folders, or the pack."""
    for fuse in range(7):
        disk = Disk({**before, **THEIRS}, fuse)
        with contextlib.suppress(ChipFailed):
            copy(disk)
        if disk.held.get("main.py") == b"new":
            assert WANTED.items() <= disk.held.items()
        elif before:
            assert {name: disk.held[name] for name in before if name not in WANTED} == {
                name: content for name, content in before.items() if name not in WANTED
            }
        assert THEIRS.items() <= disk.held.items()
        disk.fuse = None
        copy(disk)
        assert disk.held == {**WANTED, **THEIRS}


# -- the Wi-Fi, the broker


def test_the_wifi_is_asked_for_once_and_kept_for_its_owner_only(tmp_path):
    asked = []

    def ask(ssid):
        asked.append(ssid)
        return home.Network(ssid or "home", Secret("correct horse"))

    file = tmp_path / "config" / "wifi.json"
    first = home.wifi(file, None, ask)
    assert home.wifi(file, None, ask) == first and home.wifi(file, "home", ask) == first
    assert asked == [None]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert home.wifi(file, "other", ask).ssid == "other" and asked == [None, "other"]
    assert "correct horse" not in repr(first)


def test_the_wifis_password_comes_by_stdin_or_a_variable_and_never_by_an_argument(monkeypatch):
    monkeypatch.delenv(home.WIFI_PASSWORD, raising=False)
    with pytest.raises(SettingsError, match="nobody can be asked"):
        asking.for_wifi("home", from_stdin=False, ask=False)
    monkeypatch.setenv(home.WIFI_PASSWORD, "of the variable")
    assert asking.for_wifi("home", from_stdin=False, ask=False).password == "of the variable"
    monkeypatch.setattr("sys.stdin", io.StringIO("of standard input\nmore\n"))
    assert asking.for_wifi("home", from_stdin=True, ask=False).password == "of standard input"
    with pytest.raises(SettingsError, match="no name"):
        asking.for_wifi(None, from_stdin=False, ask=False)


def test_a_settings_file_that_is_none_is_refused_without_a_word_of_it(tmp_path):
    file = tmp_path / "more.json"
    file.write_text('{"password": "hunter22"')
    with pytest.raises(SettingsError) as caught:
        asking.read_settings(file)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("network", [("", ""), ("x" * 33, ""), ("home", "short"), ("home", "x" * 65)])
def test_a_wifi_that_no_board_could_join_is_not_kept(tmp_path, network):
    with pytest.raises(SettingsError, match="Wi-Fi"):
        home.wifi(tmp_path / "wifi.json", None, lambda _: home.Network(network[0], Secret(network[1])))
    assert not (tmp_path / "wifi.json").exists()


@pytest.mark.parametrize("url", ["", "broker", "http://a:1", "mqtt://", "mqtt://a:x", "mqtts://a:1"])
def test_a_broker_that_no_board_can_use(url):
    with pytest.raises(SettingsError, match="broker"):
        home.broker(url, None)


def test_a_broker_that_listens_here_only_is_refused_for_a_board_elsewhere():
    with pytest.raises(SettingsError, match=r"this computer only|no network"):
        home.seen_from_outside(home.Broker("127.0.0.1", free_port()))
    far = home.Broker("broker.example.org", 1883)
    assert home.seen_from_outside(far) is far


def test_identity_wins_over_the_persons_file_and_that_over_what_the_board_has():
    before = {"device": "old", "interval": 60, "pins": {"led": 2}, "networks": [{"ssid": "old"}]}
    made = home.board_settings(
        before,
        {"interval": 5, "broker": {"timeout": 2, "password": "mine"}},
        "fridge-1",
        home.Broker("192.168.1.2", 1883).fields("fridge-1", Secret("made-for-it")),
        home.Network("home", Secret("correct horse")),
    )
    assert (made["device"], made["interval"], made["pins"]) == ("fridge-1", 5, {"led": 2})
    assert made["broker"]["password"] == "made-for-it" and made["broker"]["timeout"] == 2
    assert [network["ssid"] for network in made["networks"]] == ["home", "old"]
    again = home.board_settings(made, {}, "fridge-1", made["broker"], home.Network("home", Secret("correct horse")))
    assert again == made


# -- what is masked


def test_secrets_are_masked_wherever_they_stand():
    found = mask.Mask(["hunter22", "", "abc"])
    assert found.text('wifi hunter22 and "hunter22", not abc') == 'wifi *** and "***", not abc'
    assert found.text('{"broker": {"password" : "unknown \\" one"}}') == '{"broker": {"password" : "***"}}'
    fields = {"broker": {"password": "a"}, "networks": [{"ssid": "s", "password": "b"}], "setup_password": "c"}
    assert sorted(mask.secrets_in(fields)) == ["a", "b", "c"]


# -- the chip


def test_a_port_without_a_chip_is_said_within_a_moment(tmp_path):
    from tools.board import chip

    with powered(tmp_path, dead=True) as board, pytest.raises(ChipFailed) as caught:
        chip.identify(board.port)
    assert "BOOT" in caught.value.advice and caught.value.evidence


@pytest.mark.parametrize(("name", "kind", "bootloader"), [("ESP32", "esp32", 0x1000), ("ESP32-S3", "esp32s3", 0)])
def test_what_is_written_is_micropython_with_our_table_in_the_place_of_its_own(tmp_path, name, kind, bootloader):
    from tools.board import chip
    from tools.image import partitions

    file = stand_in.write(tmp_path / "micropython.bin", chip=kind)
    written = dict(chip.parts(file, name))
    assert sorted(written) == [bootloader, 0x8000, 0x10000]
    assert written[0x8000] == partitions.build() != stand_in.stock_table()
    whole = file.read_bytes()
    assert whole.startswith(written[bootloader]) and whole.endswith(written[0x10000])


def test_a_file_for_another_chip_or_none_is_not_written(tmp_path):
    from tools.board import chip

    file = stand_in.write(tmp_path / "micropython.bin", chip="esp32s3")
    with pytest.raises(FlashFailed, match="another chip"):
        chip.parts(file, "ESP32")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FlashFailed) as caught:
        chip.parts(file, "ESP32-S3")
    assert "damaged" in caught.value.evidence
    file.write_bytes(b"")
    with pytest.raises(FlashFailed):
        chip.parts(file, "ESP32-S3")
