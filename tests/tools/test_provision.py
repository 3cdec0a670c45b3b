"""`provision`: records, credentials and settings of one device or many, and labels to stick on boards."""

import json
import stat
import subprocess
import sys

import pytest

from backend.database import Database
from backend.devices import Registry
from backend.run.layout import FIRMWARE
from tests.tools.flash_bench import Desk
from tools.board import labels

TABLE = "name,mac,interval\nfridge-1,24:0A:C4:00:01:10,60\nfridge-2,,\ngreenhouse,24-0a-c4-00-01-12,0.5\n"


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    database = Database(desk.environment["THERMOGRAPH_DATABASE"])
    database.migrate()
    database.close()
    return desk


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "fridges.csv"
    file.write_text(TABLE)
    return file


def enrolled(desk):
    database = Database(desk.environment["THERMOGRAPH_DATABASE"])
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT name, enrolled FROM devices ORDER BY name").all()
    database.close()
    return [(name, bool(flag)) for name, flag in found]


def test_many_devices_from_a_csv_and_again_without_any_change(desk, table, tmp_path):
    words = ("provision", "--csv", table, "--out", tmp_path / "out", "--labels", tmp_path / "labels.pdf")
    first = desk.run(*words)
    assert first.exit_code == 0, first.output
    assert "3 new, 0 known already" in first.output
    assert enrolled(desk) == [("fridge-1", True), ("fridge-2", True), ("greenhouse", True)]
    made = {path.name: json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")}
    assert sorted(made) == ["fridge-1.json", "fridge-2.json", "greenhouse.json"]
    assert made["greenhouse.json"]["interval"] == 0.5 and "interval" not in made["fridge-2.json"]
    registered = Registry(desk.state).read()
    for name, device in registered.items():
        assert made[f"{name}.json"]["broker"]["password"] == str(device.password)
        assert stat.S_IMODE((tmp_path / "out" / f"{name}.json").stat().st_mode) == 0o600
        assert str(device.password) not in first.output
    assert registered["fridge-1"].mac == "240ac4000110" and registered["fridge-2"].mac == ""

    second = desk.run(*words, "--json")
    assert second.exit_code == 0, second.output
    told = json.loads(second.stdout)
    assert [(one["device"], one["new"]) for one in told["devices"]] == [
        ("fridge-1", False),
        ("fridge-2", False),
        ("greenhouse", False),
    ]
    assert Registry(desk.state).read() == registered


def test_the_settings_are_such_as_the_firmware_takes(desk, table, tmp_path):
    assert desk.run("provision", "--csv", table, "--out", tmp_path / "out").exit_code == 0
    code = "import sys; from thermograph.settings import load; load(open(sys.argv[1]).read())"
    for file in (tmp_path / "out").glob("*.json"):
        subprocess.run([sys.executable, "-c", code, file], check=True, cwd=FIRMWARE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("device\nx\n", "no column"),
        ("name\nFridge 1\n", "line 2"),
        ("name,mac\na,zz\n", "line 2: 'zz' is no MAC"),
        ("name,interval\na,soon\n", "interval"),
        ("name,interval\na,0\n", "interval"),
        ("name\na\na\n", "twice"),
        ("name,mac\na,240ac4000110\nb,24:0a:c4:00:01:10\n", "twice"),
        ("name\n" + "\x00" + "\n", "line 2"),
    ],
)
def test_a_csv_with_a_mistake_registers_nobody(desk, tmp_path, text, words):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    result = desk.run("provision", "--csv", file)
    assert result.exit_code == 78 and words in result.output and "Traceback" not in result.output
    assert enrolled(desk) == [] and not (desk.state / "devices.json").exists()


def test_which_device_must_be_said_once(desk, table):
    assert desk.run("provision").exit_code == 78
    assert desk.run("provision", "x", "--csv", table).exit_code == 78
    assert desk.run("provision", "x", "--labels", "sheet.doc").exit_code == 78
    assert enrolled(desk) == []


def test_a_png_label_holds_the_qr_code_of_the_page(desk, tmp_path):
    file = tmp_path / "label.png"
    result = desk.run("provision", "fridge-1", "--labels", file, "--url", "https://t.example.org")
    assert result.exit_code == 0, result.output
    assert "https://t.example.org/#fridge-1" in result.output
    assert modules_in(file) == labels.code("https://t.example.org/#fridge-1")


def modules_in(file):
    """The sheet's first code, read back from its pixels."""
    from PIL import Image

    sheet = Image.open(file)
    count = len(labels.code("https://t.example.org/#fridge-1"))
    pixels = int(labels.CODE * labels.PIXELS // count)
    left, top = round(labels.GAP * labels.PIXELS), round((labels.SIZE[1] - labels.CODE) / 2 * labels.PIXELS)
    middle = pixels // 2
    return [
        [not sheet.getpixel((left + x * pixels + middle, top + y * pixels + middle)) for x in range(count)]
        for y in range(count)
    ]


def test_a_sheet_has_as_many_pages_as_it_takes(tmp_path):
    file = tmp_path / "labels.pdf"
    labels.write(file, [labels.Label(f"device-{number}", f"http://x/#{number}") for number in range(25)])
    data = file.read_bytes()
    assert data.startswith(b"%PDF-") and data.count(b"/Type /Page\n") == 2
    assert labels.place(24) == (1, *labels.FIRST)
    for index in range(24):
        _, x, y = labels.place(index)
        assert x + labels.SIZE[0] <= labels.PAPER[0] and y + labels.SIZE[1] <= labels.PAPER[1]
