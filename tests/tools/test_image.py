"""python -m tools image: the file is what a board's flash would be. MicroPython is the official .bin, where it is here;
those that are damaged or strange are made (stand_in.py)."""

import json
import os
import stat
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import esp_idf_defs
import pytest
import yaml
from click.testing import CliRunner

from backend.errors import SettingsError, ThermographError
from backend.run import micropython as interpreters
from tests.servers import Mosquitto, program, wait_for
from tests.tools import stand_in
from tools import image
from tools.commands import tools
from tools.image import device_settings, filesystem, micropython, partitions, whole

ROOT = Path(__file__).parents[2]
BOOT = ROOT / "tests" / "firmware" / "boot_image.py"
# Of diagram.json and firmware/wokwi/settings.json.
PROBE, TEMPERATURE = "28a1a1a1a1a1a1", "4.5"
SECRET = "not-in-any-output"
OFFICIAL = ROOT.parent / "shared" / "micropython" / "ESP32_GENERIC-20251209-v1.27.0.bin"


@pytest.fixture
def source():
    if not OFFICIAL.is_file():
        pytest.skip(f"NO OFFICIAL MICROPYTHON: {OFFICIAL} is not there")
    return OFFICIAL


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return stand_in.write(tmp_path_factory.mktemp("micropython") / "ESP32_GENERIC.bin")


def settings_file(folder, **changes):
    fields = json.loads((ROOT / "firmware" / "wokwi" / "settings.json").read_text()) | changes
    path = folder / "settings.json"
    path.write_text(json.dumps(fields))
    return path


def expected(scenario):
    """What a scenario for Wokwi waits for on the console."""
    steps = yaml.safe_load((ROOT / "tests" / "scenarios" / "wokwi" / scenario).read_text())["steps"]
    return [step["wait-serial"] for step in steps if "wait-serial" in step]


# -- the table


def test_espressifs_own_parser_reads_the_table():
    table = esp_idf_defs.PartitionTable.from_binary(partitions.build())
    table.verify()
    found = {one.name: (one.type, one.subtype, one.offset, one.size) for one in table}
    assert found == {
        "nvs": (1, 0x02, 0x9000, 0x6000),
        "phy_init": (1, 0x01, 0xF000, 0x1000),
        "factory": (0, 0x00, 0x10000, 0x1F0000),
        "vfs": (1, 0x83, 0x200000, 0x100000),
        "outbox": (1, 0x40, 0x300000, 0x100000),
    }


def test_the_table_says_what_espressifs_tool_would_write():
    """All of it but the MD5 is compared: the tool writes the same entries from a CSV."""
    rows = [f"{one.name},{one.kind},{one.subtype},{one.offset:#x},{one.size:#x}," for one in partitions.TABLE]
    theirs = esp_idf_defs.PartitionTable.from_csv("\n".join(rows)).to_binary()
    assert theirs == partitions.build()


def test_micropythons_own_vfs_entry_finds_no_place():
    """1.26 and newer register `vfs` from the end of the last partition to the end of the flash, unless the table has
    one of that name or of `ffat`. Ours has it; and there is nothing left to register."""
    assert [one for one in partitions.TABLE if one.name in ("vfs", "ffat")] == [partitions.VFS_PARTITION]
    assert max(one.end for one in partitions.TABLE) == partitions.FLASH_SIZE


def test_a_table_comes_back_as_it_was():
    assert partitions.parse(partitions.build()) == partitions.TABLE
    assert partitions.parse(stand_in.stock_table()) == partitions.TABLE[:3]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda table: b"\xff" * len(table), "blank"),
        (lambda table: b"\xe9" + table[1:], "no partition table"),
        (lambda table: table[:40] + b"\x01" + table[41:], "MD5"),
        (lambda table: table[:96], "no end"),
        (lambda table: b"", "no end"),
    ],
)
def test_a_damaged_table_is_named(damage, why):
    with pytest.raises(partitions.PartitionError, match=why):
        partitions.parse(damage(partitions.build()))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"offset": 0x201000}, "overlaps"),
        ({"size": 0x101000}, "overlaps"),
        ({"offset": 0x200800}, "aligned"),
        ({"size": 0}, "aligned"),
        ({"name": "a-name-that-is-too-long"}, "15 ASCII"),
        ({"name": "nvs"}, "same name"),
        ({"offset": 0x400000}, "after the flash"),
        ({"offset": 0x8000, "size": 0x1000}, "overlaps"),
    ],
)
def test_a_table_that_no_bootloader_would_take_is_not_built(change, why):
    others = [one for one in partitions.TABLE if one is not partitions.VFS_PARTITION]
    with pytest.raises(partitions.PartitionError, match=why):
        partitions.build((*others, replace(partitions.VFS_PARTITION, **change)))


# -- MicroPython's .bin


@pytest.mark.parametrize(("chip", "bootloader"), [("esp32", 0x1000), ("esp32s3", 0)])
def test_a_release_is_taken_apart(tmp_path, chip, bootloader):
    found = micropython.read(stand_in.write(tmp_path / "a.bin", chip=chip))
    assert (found.chip.name, found.chip.bootloader, found.version) == (chip, bootloader, "1.27.0")
    assert bootloader + len(found.bootloader) == partitions.TABLE_OFFSET
    assert found.app[0] == 0xE9


def test_the_official_release_is_taken_apart(source):
    found = micropython.read(source)
    assert (found.chip.name, found.version) == ("esp32", "1.27.0")
    assert partitions.parse(source.read_bytes()[0x7000:0x7C00]) == partitions.parse(stand_in.stock_table())


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: b"", "does not begin with a bootloader"),
        (lambda data: b"<html>not found</html>", "does not begin with a bootloader"),
        (lambda data: data[:12] + struct.pack("<H", 77) + data[14:], "chip with the id 77"),
        (lambda data: data[:0x5000], "the app at 0x10000 is damaged or cut off"),
        (lambda data: data[:-20], "the app at 0x10000 is damaged"),
        (lambda data: data[:-40000], "the app at 0x10000 is damaged or cut off"),
        (lambda data: flip(data, 0x200), "the bootloader is damaged"),
        (lambda data: flip(data, 0xF000 + 0x20000), "the app at 0x10000 is damaged"),
        (lambda data: data + bytes(0x1F0000), "the app has"),
    ],
)
def test_a_file_that_no_board_would_start_is_refused(tmp_path, made_up, spoil, why):
    bad = tmp_path / "bad.bin"
    bad.write_bytes(spoil(made_up.read_bytes()))
    with pytest.raises(micropython.MicroPythonError, match=why):
        micropython.read(bad)


def test_a_micropython_that_is_too_old_is_refused(tmp_path):
    with pytest.raises(micropython.MicroPythonError, match=r"1\.24\.1; the firmware needs 1\.25"):
        micropython.read(stand_in.write(tmp_path / "old.bin", version="1.24.1"))


# -- the file system


def test_files_come_back_from_littlefs():
    files = {"main.py": b"print(1)\n", "lib/a/deep.mpy": bytes(range(256)) * 40, "empty": b"", "inline": b"x" * 200}
    made = filesystem.build(files)
    assert len(made) == 0x100000
    assert filesystem.read(made) == files
    assert made == filesystem.build(dict(reversed(files.items())))


def test_files_that_do_not_fit_are_counted():
    with pytest.raises(filesystem.FilesystemFull, match=r"2 files, 1,200,000 bytes, do not fit"):
        filesystem.build({"a": bytes(600_000), "b": bytes(600_000)})


# -- settings


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"device": "Fridge"}', "device must be"),
        (b'{"device": "fridge", "intervall": 5}', "intervall is not a setting"),
        (b'{"device": "fridge", "broker": {"password": "%s"}}' % SECRET.encode(), "go together"),
        (b'{"password": "%s"' % SECRET.encode(), "not JSON"),
        (b"\xff\xfe", "no text in UTF-8"),
    ],
)
def test_settings_are_refused_as_the_firmware_would(tmp_path, text, why):
    path = tmp_path / "settings.json"
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=why) as caught:
        device_settings.read(path, ROOT / "firmware")
    assert SECRET not in str(caught.value)


# -- the whole


def test_the_same_inputs_give_the_same_bytes(tmp_path, source):
    """Another folder, other times of the files, another process' hash seed."""
    first = image.build(tmp_path / "a", source, settings_file(tmp_path))
    copy = tmp_path / "copy.bin"
    copy.write_bytes(source.read_bytes())
    os.utime(copy, (1, 1))
    words = [
        "image",
        "--micropython",
        copy,
        "--settings",
        tmp_path / "settings.json",
        "--out",
        tmp_path / "b",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tools", *map(str, words)],
        capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "7"},
    )  # fmt: skip
    second = json.loads(done.stdout)
    assert second["sha256"] == first.sha256
    assert Path(second["image"]).read_bytes() == first.image.read_bytes()
    assert (tmp_path / "b" / "flasher_args.json").read_bytes() == first.flasher_args.read_bytes()


def test_each_part_lies_where_the_board_looks_for_it(tmp_path, source):
    made = image.build(tmp_path, source, None)
    flash, theirs = made.image.read_bytes(), source.read_bytes()
    assert len(flash) == 4 * 1024 * 1024
    assert flash[:0x1000] == b"\xff" * 0x1000
    assert flash[0x1000:0x8000] == theirs[:0x7000]
    assert flash[0x8000:0x8C00] == partitions.build() != theirs[0x7000:0x7C00]
    assert flash[0x8C00:0x10000] == b"\xff" * (0x10000 - 0x8C00), "nvs and phy_init are blank"
    assert flash[0x10000:].startswith(theirs[0xF000:])
    assert sorted(filesystem.read(flash[0x200000:0x300000])) == made.files
    assert flash[0x300000:] == b"\xff" * 0x100000, "an Outbox that was formatted here would give two boards one stream"
    assert "settings.json" not in made.files


def test_esptool_verifies_both_images_in_it(tmp_path, source):
    from esptool.bin_image import LoadFirmwareImage

    flash = image.build(tmp_path, source, None).image.read_bytes()
    for part in (flash[0x1000:0x8000], flash[0x10000:0x200000]):
        found = LoadFirmwareImage("esp32", part)
        assert found.checksum == found.calculate_checksum() and found.stored_digest == found.calc_digest


def test_wokwi_makes_the_same_flash_of_flasher_args(tmp_path, source):
    """As wokwi-cli does it: zeros, and each piece at its offset."""
    made = image.build(tmp_path, source, None)
    assert made.flasher_args.name == "flasher_args.json"
    pieces = json.loads(made.flasher_args.read_text())["flash_files"]
    flash = bytearray(max(int(at, 16) + (tmp_path / name).stat().st_size for at, name in pieces.items()))
    for at, name in pieces.items():
        data = (tmp_path / name).read_bytes()
        flash[int(at, 16) : int(at, 16) + len(data)] = data
    assert flash == made.image.read_bytes()


def test_only_this_user_may_read_an_image_with_secrets(tmp_path, source):
    broker = {"host": "127.0.0.1", "user": "wokwi", "password": SECRET}
    words = ["--micropython", str(source), "--settings", str(settings_file(tmp_path, broker=broker))]
    done = CliRunner().invoke(tools, ["image", *words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output and "settings included" in done.output
    for path in (tmp_path / "out").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_bad_file_ends_with_a_sentence(tmp_path):
    bad = tmp_path / "bad.bin"
    bad.write_bytes(b"<html>")
    done = CliRunner().invoke(tools, ["image", "--micropython", str(bad), "--out", str(tmp_path / "out")])
    assert done.exit_code == micropython.MicroPythonError.exit_code
    assert "error:" in done.output and "micropython.org" in done.output
    assert not (tmp_path / "out").exists()


# -- it runs


def test_it_boots_in_micropython_and_publishes_its_first_reading(tmp_path, source):
    """Hold the flash as it is under MicroPython: vfs mounts, lists its files, and main.py sends from the Outbox."""
    command = interpreters.find(os.environ)
    if not command:
        pytest.skip("NO MICROPYTHON: python -m tools setup --for test")
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    listener = board = None
    try:
        settings = settings_file(
            tmp_path, broker={"host": "127.0.0.1", "port": broker.port}, interval=1, ntp=["127.0.0.1:9"]
        )
        made = image.build(tmp_path / "image", source, settings)
        topic = "thermograph/v1/wokwi/telemetry"
        listener = subprocess.Popen(
            [program("mosquitto_sub"), "-p", str(broker.port), "-t", topic, "-q", "1", "-C", "1", "-W", "60"],
            stdout=subprocess.PIPE,
        )
        console = (tmp_path / "console").open("w+")
        words = [str(BOOT), str(made.image), str(BOOT.with_name("fakes")), PROBE, TEMPERATURE]
        board = subprocess.Popen(
            [*command, "-X", "heapsize=1m", *words], stdout=console, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        said = lambda: (tmp_path / "console").read_text(errors="replace")  # noqa: E731
        wait_for(lambda: board.poll() is not None or listener.poll() is not None, "telemetry of the image", 60)
        message, _ = listener.communicate(timeout=10)
        assert message, said()
    finally:
        for process in (listener, board):
            if process is not None:
                process.kill()
                process.communicate()
        broker.stop()
        console.close()
    files = {line.split()[1].lstrip("/"): int(line.split()[2]) for line in said().splitlines() if line[:5] == "file "}
    inside = filesystem.read(made.image.read_bytes()[0x200000:0x300000])
    assert files == {name: len(inside[name]) for name in made.files}
    for text in ("wifi Wokwi-GUEST", *expected("sensors.yaml")[:3]):
        assert text in said(), "what the Wokwi scenarios wait for"
    first = json.loads(message)
    assert first["v"] == 1 and first["seq"] == 1
    assert ["28a1a1a1a1a1a12b", "Cel"] in first["ch"] and ["room", "%RH"] in first["ch"]
    values = {first["ch"][row[1]][0] + first["ch"][row[1]][1]: row[2] for row in first["r"]}
    assert values == {"28a1a1a1a1a1a12bCel": 4.5, "roomCel": 21.5, "room%RH": 45}
    flash = made.image.read_bytes()
    assert flash[0x300000:0x400000] != b"\xff" * 0x100000, "the firmware found its Outbox in the partition"
    assert flash[:0x200000] == whole.build(micropython.read(source), {})[:0x200000]


def test_every_error_of_the_image_has_an_exit_code_of_its_kind():
    for kind in (partitions.PartitionError, micropython.MicroPythonError, filesystem.FilesystemFull):
        assert issubclass(kind, ThermographError) and kind.exit_code in (65, 73)
