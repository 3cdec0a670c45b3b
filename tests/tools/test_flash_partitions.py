"""`flash` and a board's partitions: what it asks, what it reads off and puts back, and that nothing is lost by it."""

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import stat

import pytest

from backend.run import micropython
from tests.servers import program
from tests.tools import board_of_5a0d225 as before
from tests.tools import stand_in
from tests.tools.fake_board import powered
from tests.tools.fake_loader import Loader
from tests.tools.flash_bench import Desk
from tools.board import asking, backup, chip, files, follow, ports, repl, sectors
from tools.image import partitions
from tools.simulation.firmware import module

pytestmark = [
    pytest.mark.skipif(
        not (micropython.find(os.environ) and program("mosquitto")),
        reason="MicroPython or mosquitto is not installed: python -m tools setup --for test",
    ),
    # Of os.fork() in kills(): the child ends by SIGKILL and waits for no lock.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]
# Exit code of a backend whose database has no tables: a run ends so once the files are on the board.
COPIED = 78
FEWER = "about 3,500 readings instead of 63,000"
SECTORS, READINGS, ACKNOWLEDGED = 5, 1300, 700


@pytest.fixture(scope="module")
def firmware():
    """Compiled once for all tests of this file."""
    return files.firmware("linux")


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """A board's files of 5a0d225, with a ring that went round, and what its Outbox holds."""
    folder = tmp_path_factory.mktemp("past")
    holding = before.make(folder, before.FolderFlash(folder, SECTORS), READINGS, ACKNOWLEDGED)
    assert holding[1] == READINGS and 200 < len(holding[2]) < READINGS
    return folder, holding


@pytest.fixture
def desk(tmp_path, monkeypatch, firmware):
    """Nothing of its backend runs, and its database has no tables."""
    monkeypatch.setattr(files, "firmware", lambda platform: firmware)
    monkeypatch.setattr(repl, "UNTIL_PROMPT", 2.0)
    monkeypatch.setattr(follow, "INGEST_PATIENCE", 0.5)
    desk = Desk(tmp_path)
    desk.micropython = stand_in.write(tmp_path / "micropython.bin")
    return desk


@pytest.fixture
def stock(tmp_path, past):
    """A board of 5a0d225 on MicroPython's own partitions."""
    shutil.copytree(past[0], tmp_path / "board" / "files")
    with powered(tmp_path / "board", partitions="stock") as board:
        yield board


def flash(desk, board, *words, answer=None):
    """(exit code, what was said). No secret was."""
    more = desk.settings_file(networks=[{"ssid": "home", "password": "password-of-the-wifi"}])
    words = ("flash", "--port", board.port, "--settings", more, "--micropython", desk.micropython, *words)
    result = desk.run(*words, stdin=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert [secret for secret in [*before.SECRETS, *desk.secrets()] if secret in result.output] == []
    return result.exit_code, result.output


def kills(desk, board, *words):
    """Flash it in a process that has to end by SIGKILL, which one of the fakes sends."""
    child = os.fork()
    if not child:
        try:
            flash(desk, board, *words)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def backups(desk):
    return sorted((desk.folder / "home" / "state").rglob("backup.json"))


def all_files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_all_is_back(board, past):
    """Also the same stream under the same seqs, in the partition."""
    folder, holding = past
    for name in before.FILES:
        assert (board.folder / name).read_bytes() == (folder / name).read_bytes(), name
    assert before.holding(before.PartitionFlash(board.outbox)) == holding
    assert not (board.folder / "outbox").exists()
    assert (board.folder / "main.py").exists()


def assert_untouched(board, past):
    there = all_files(board.folder)
    assert {name: there.get(name) for name in all_files(past[0]) if name.split("/")[0] not in files.OURS} == {
        name: content for name, content in all_files(past[0]).items() if name.split("/")[0] not in files.OURS
    }


# -- asked


def test_yes_writes_our_partitions_and_nothing_is_lost(desk, stock, past, monkeypatch):
    seen = {}

    def look():
        folder = backups(desk)[0].parent
        seen["modes"] = {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)}
        seen["file modes"] = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        kept = json.loads((folder / "backup.json").read_text())["files"]
        seen["kept"] = {name: (folder / digest).read_bytes() for name, digest in kept.items()}
        seen["right"] = all(hashlib.sha256(seen["kept"][name]).hexdigest() == digest for name, digest in kept.items())

    monkeypatch.setattr(asking, "may_ask", lambda as_json: True)
    (stock.folder / "texts").mkdir()
    (stock.folder / "texts" / "notes.txt").write_text("my own")
    (stock.folder / "photos").mkdir()
    (stock.folder / "photos" / "large.bin").write_bytes(b"x" * 20_000)
    loader = Loader(stock, at_erase=look).install(monkeypatch)
    desk.open()
    try:
        code, said = flash(desk, stock, answer="y\n")
    finally:
        desk.broker.close()
    assert code == 19, said  # nobody ingests at this desk
    assert loader.written == ["erased"]
    assert f"its Outbox is files: {FEWER}" in said
    assert "its flash is erased" in said and "Write our partitions? [y/N]" in said
    assert "put back: settings.json, settings-remote.json, commands.json, found.json, crashes.json" in said
    assert "the Outbox's readings (5 files), texts/notes.txt." in said
    assert "Lost: photos/large.bin (20,000 bytes); what programs of your own keep in NVS." in said
    assert f"the Outbox of stream {past[1][0]} in its partition" in said
    assert seen["modes"] == {0o700} and seen["file modes"] == {0o600} and seen["right"]
    assert seen["kept"]["settings.json"] == (past[0] / "settings.json").read_bytes()
    assert said.index(str(desk.folder / "home" / "state")) < said.index("micropython.bin written")
    assert before.holding(before.PartitionFlash(stock.outbox)) == past[1]
    assert (stock.folder / "texts" / "notes.txt").read_text() == "my own"
    for name in before.FILES.keys() - {"settings.json", "settings-remote.json"}:
        assert (stock.folder / name).read_bytes() == (past[0] / name).read_bytes()
    remote = json.loads((stock.folder / "settings-remote.json").read_text())  # less what the file of --settings decides
    assert remote == {"revision": 4, "fields": {"setup_password": "portal-from-afar"}}
    settings = json.loads((stock.folder / "settings.json").read_text())
    assert settings["setup_password"] == before.SETTINGS["setup_password"]
    assert backups(desk) == [] and not list((desk.folder / "home" / "state" / "thermograph" / "boards").iterdir())


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_no_keeps_the_partitions(desk, stock, past, monkeypatch, answer):
    monkeypatch.setattr(asking, "may_ask", lambda as_json: True)
    loader = Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock, answer=answer)
    assert code == COPIED and "✓ filesystem" in said, said
    assert "its partitions stay" in said and "--partitions ours changes that" in said
    assert loader.written == [] and backups(desk) == []
    assert_untouched(stock, past)


def test_the_port_is_free_while_somebody_thinks(desk, stock, monkeypatch):
    """A watchdog may be running, and the board then leaves its prompt: it is connected to again."""

    def answer(words, question, otherwise):
        ports.check(stock.port)
        return False

    monkeypatch.setattr(asking, "may_ask", lambda as_json: True)
    monkeypatch.setattr(asking, "whether", answer)
    Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock)
    assert code == COPIED, said


# -- nobody to ask


def test_nobody_to_ask_keeps_the_partitions_and_says_so(desk, stock, past, monkeypatch):
    loader = Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock, "--json")
    told = json.loads(said)
    assert code == COPIED
    stages = {stage["stage"]: stage["detail"] for stage in told["stages"]}
    assert stages["flash"].endswith("is there; its partitions stay, the Outbox is files")
    assert loader.written == []
    assert_untouched(stock, past)


@pytest.mark.parametrize("words", [("--partitions", "ours"), ("--rewrite",)])
def test_an_option_says_yes(desk, stock, past, monkeypatch, words):
    loader = Loader(stock).install(monkeypatch)
    (stock.folder / "large.bin").write_bytes(b"x" * 20_000)
    code, said = flash(desk, stock, *words)
    assert code == COPIED and loader.written == ["erased"], said
    assert "Lost: large.bin (20,000 bytes)." in said
    assert_all_is_back(stock, past)
    assert backups(desk) == []


def test_erase_puts_nothing_back(desk, stock, monkeypatch):
    loader = Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock, "--partitions", "erase")
    assert code == COPIED and loader.written == ["erased"], said
    assert not (stock.folder / "settings.json").exists()
    assert set(stock.outbox.read_bytes()) == {0xFF} and backups(desk) == []


@pytest.mark.parametrize(("words", "lost"), [((), "large.bin"), (("--partitions", "keep"), "no file")])
def test_a_micropython_that_is_too_old_stays_where_writing_one_would_lose_something(
    desk, tmp_path, past, monkeypatch, words, lost
):
    shutil.copytree(past[0], tmp_path / "board" / "files")
    if lost != "no file":
        (tmp_path / "board" / "files" / "large.bin").write_bytes(b"x" * 20_000)
    with powered(tmp_path / "board", partitions="stock", version=(1, 20, 0)) as board:
        loader = Loader(board).install(monkeypatch)
        code, said = flash(desk, board, *words)
        assert code == 12 and "✗ flash" in said and "Nothing was erased" in said and lost in said, said
        assert "--partitions ours" in said and loader.written == []
        assert_untouched(board, past)


@pytest.mark.parametrize(("answer", "expected"), [("n\n", 12), ("y\n", COPIED)])
def test_a_micropython_that_is_too_old_is_asked_about(desk, tmp_path, past, monkeypatch, answer, expected):
    shutil.copytree(past[0], tmp_path / "board" / "files")
    monkeypatch.setattr(asking, "may_ask", lambda as_json: True)
    with powered(tmp_path / "board", partitions="stock", version=(1, 20, 0)) as board:
        loader = Loader(board).install(monkeypatch)
        code, said = flash(desk, board, answer=answer)
        assert code == expected and "Write our partitions?" in said, said
        if expected == COPIED:
            assert_all_is_back(board, past)
        else:
            assert_untouched(board, past)
            assert loader.written == []


# -- a board that has our partitions already


@pytest.mark.parametrize("words", [(), ("--partitions", "ours")])
def test_our_partitions_keep_outbox_stream_settings_and_secrets(desk, tmp_path, monkeypatch, words):
    with powered(tmp_path / "board", partitions="ours") as board:
        holding = before.make(board.folder, before.PartitionFlash(board.outbox), 600, 100)
        held, there = board.outbox.read_bytes(), all_files(board.folder)
        loader = Loader(board).install(monkeypatch)
        code, said = flash(desk, board, *words)
        assert code == COPIED and loader.written == (["over"] if words else []), said
        assert "files and Outbox kept" in said if words else "is there\n" in said
        assert board.outbox.read_bytes() == held
        assert before.holding(before.PartitionFlash(board.outbox)) == holding
        assert {name: (board.folder / name).read_bytes() for name in before.FILES} == {
            name: there[name] for name in before.FILES
        }


# -- what goes wrong


def refuses(desk, board, monkeypatch, loader, starts):
    code, said = flash(desk, board, "--partitions", "ours")
    assert code == 13 and "✗ filesystem" in said and "Nothing was erased." in said, said
    assert loader.written == [] and backups(desk) == []
    assert not list((desk.folder / "home" / "state").rglob("????*/*/*"))  # no secret is left here
    assert board.wait_for_resets(starts + 1)  # it goes on as it was
    return said


@pytest.mark.parametrize(
    ("source", "words"), [("/proc/self/mem", "OSError"), ("/proc/sys/kernel/random/uuid", "differently each time")]
)
def test_what_cannot_be_read_keeps_the_flash_from_being_erased(desk, stock, past, monkeypatch, source, words):
    remote = stock.folder / "settings-remote.json"
    remote.unlink()
    remote.symlink_to(source)
    said = refuses(desk, stock, monkeypatch, Loader(stock).install(monkeypatch), stock.resets)
    assert words in said


def test_a_name_that_cannot_be_told_keeps_the_flash_from_being_erased(desk, stock, monkeypatch):
    (stock.folder / "two\nlines.txt").write_text("my own")
    said = refuses(desk, stock, monkeypatch, Loader(stock).install(monkeypatch), stock.resets)
    assert "cannot be read" in said and "'two\\nlines.txt'" in said


def test_what_does_not_fit_keeps_the_flash_from_being_erased(desk, stock, past, monkeypatch):
    (stock.folder / "outbox" / "of-a-newer-firmware").write_bytes(b"x" * (600 << 10))
    said = refuses(desk, stock, monkeypatch, Loader(stock).install(monkeypatch), stock.resets)
    assert "does not fit" in said and "room for 512 KiB" in said
    (stock.folder / "outbox" / "of-a-newer-firmware").unlink()
    assert_untouched(stock, past)


def test_an_outbox_of_another_form_goes_back_as_files(desk, stock, past, monkeypatch):
    (stock.folder / "outbox" / "4").write_bytes(b"half a sector")
    Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock, "--partitions", "ours")
    assert code == COPIED, said
    assert (stock.folder / "outbox" / "4").read_bytes() == b"half a sector"
    assert (stock.folder / "outbox" / "0").read_bytes() == (past[0] / "outbox" / "0").read_bytes()


def test_a_board_that_says_nothing_is_not_erased_while_files_may_be_there(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(repl, "ATTEMPTS", 1)
    with powered(tmp_path / "board", partitions="stock", dead=True) as board:
        loader = Loader(board).install(monkeypatch)
        code, said = flash(desk, board, "--partitions", "ours")
    assert code == 12 and "files may be there. Nothing was erased." in said and "--partitions erase" in said
    assert loader.written == []


def test_a_blank_chip_gets_micropython_without_a_question(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(repl, "ATTEMPTS", 1)
    with powered(tmp_path / "board", partitions="stock") as board:
        board.erase()
        loader = Loader(board).install(monkeypatch)
        code, said = flash(desk, board)
    assert code == COPIED and loader.written == ["erased"] and "✓ filesystem" in said, said


# -- killed in the middle


def kill_at(monkeypatch, method, count):
    """At the count-th call of a Prompt's method."""
    real, calls = getattr(repl.Prompt, method), []

    def call(self, *words):
        calls.append(words)
        if len(calls) == count:
            kill()
        return real(self, *words)

    monkeypatch.setattr(repl.Prompt, method, call)


@pytest.mark.parametrize("where", ["erased", "written", ("write", 3), ("write_sector", 2)])
def test_what_was_cut_off_is_made_good_by_the_next_run(desk, stock, past, monkeypatch, where):
    monkeypatch.setattr(repl, "ATTEMPTS", 1)
    with monkeypatch.context() as patched:
        Loader(
            stock, at_erase=kill if where == "erased" else bool, at_end=kill if where == "written" else bool
        ).install(patched)
        if isinstance(where, tuple):
            kill_at(patched, *where)
        kills(desk, stock, "--partitions", "ours")
    kept = backups(desk)
    assert len(kept) == 1 and not (stock.folder / "main.py").exists()
    loader = Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock)
    assert code == COPIED and loader.written == (["erased"] if where == "erased" else []), said
    assert str(kept[0].parent) in said and "an earlier run was cut off" in said
    assert_all_is_back(stock, past)
    assert backups(desk) == []


def test_a_backup_is_offered_once_and_kept_when_it_is_declined(desk, stock, past, monkeypatch):
    with monkeypatch.context() as patched:
        Loader(stock, at_end=kill).install(patched)
        kills(desk, stock, "--partitions", "ours")
    Loader(stock).install(monkeypatch)
    monkeypatch.setattr(asking, "may_ask", lambda as_json: True)
    code, said = flash(desk, stock, answer="n\n")
    assert code == COPIED and "Put it back? [Y/n]" in said, said
    assert not (stock.folder / "settings.json").exists() and len(backups(desk)) == 1
    code, said = flash(desk, stock)
    assert code == COPIED and "the board has been set up since" in said and "Put it back?" not in said
    assert not (stock.folder / "settings.json").exists() and len(backups(desk)) == 1


def test_a_run_that_ended_before_the_erase_leaves_one_backup_and_a_board_that_goes_on(desk, stock, past, monkeypatch):
    with monkeypatch.context() as patched:
        loader = Loader(stock).install(patched)
        patched.setattr("tools.board.chip.write", lambda *words, **more: kill())
        kills(desk, stock, "--partitions", "ours")
    assert loader.written == [] and len(backups(desk)) == 1
    assert_untouched(stock, past)
    Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock, "--partitions", "ours")
    assert code == COPIED, said
    assert_all_is_back(stock, past)
    assert backups(desk) == []


def test_what_does_not_come_back_right_stays_in_the_backup(desk, stock, past, monkeypatch):
    with monkeypatch.context() as patched:
        real = repl.Prompt.write_sector
        patched.setattr(repl.Prompt, "write_sector", lambda *words: real(*words[:2], b"\0" + words[2][1:]))
        Loader(stock).install(patched)
        code, said = flash(desk, stock, "--partitions", "ours")
    kept = backups(desk)
    assert code == 13 and "not on the board" in said and "sector " in said and str(kept[0].parent) in said, said
    Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock)
    assert code == COPIED, said
    assert_all_is_back(stock, past)


def test_a_backup_that_was_damaged_is_not_put_back(desk, stock, monkeypatch):
    with monkeypatch.context() as patched:
        Loader(stock, at_end=kill).install(patched)
        kills(desk, stock, "--partitions", "ours")
    kept = backup.find(stock.mac, backups(desk)[0].parent.parent)
    (kept.folder / kept.files["settings.json"]).write_bytes(b"{}")
    Loader(stock).install(monkeypatch)
    code, said = flash(desk, stock)
    assert code == 13 and "The backup of this board is damaged" in said and str(kept.folder) in said, said
    assert len(backups(desk)) == 1


# -- its parts


def sector(counter, stream=b"abcd", copy=0):
    """A sector with one whole header of its two."""
    head = module("sector").pack_header(6, stream, counter, 1, 0, 1)
    return (b"\0" * 32 * copy + head).ljust(4096, b"\xff")


def test_sectors_move_to_where_a_ring_of_another_length_has_them():
    ring = [sector(10), sector(11, copy=1), sector(7), sector(8), sector(9)]
    assert sectors.stream(ring) == b"abcd".hex()
    # Of five sectors, the one ahead of the newest is given up.
    assert sectors.placed(ring, 256) == {8: ring[3], 9: ring[4], 10: ring[0], 11: ring[1]}
    assert set(sectors.placed(ring, 5)) == {3, 4, 0, 1}
    with pytest.raises(ValueError, match="room for 3"):
        sectors.placed(ring, 4)


def test_sectors_that_are_not_of_the_newest_log_are_left_out():
    rotten = bytearray(sector(12))
    rotten[3] ^= 1
    assert sectors.placed([sector(5), sectors.BLANK, sector(4, b"else"), bytes(rotten)]) == {5: sector(5)}
    assert sectors.placed([sectors.BLANK, bytes(rotten)]) == {} and sectors.stream([sectors.BLANK]) is None


def test_whose_table_it_is():
    ours = partitions.build()
    old = (*partitions.TABLE[:3], dataclasses.replace(partitions.VFS_PARTITION, size=2 << 20))  # up to MicroPython 1.25
    others = [dataclasses.replace(partitions.APP_PARTITION, name="app0", size=0x140000)]  # as Arduino has
    assert chip.what_has(ours) == (True, False)
    assert chip.what_has(stand_in.stock_table()) == (False, True) == chip.what_has(partitions.build(old))
    assert chip.what_has(partitions.build(tuple(others))) == (False, False)
    assert chip.what_has(b"\xff" * 0xC00) == (False, False) == chip.what_has(b"")


def test_what_is_kept_and_what_is_lost():
    own = {"boot.py": 20, "lib/mine.py": 16384, "large.bin": 16385, "main.py": 10}
    held = {"settings.json": 10, "outbox/0": 4096, "outbox/1.new": 4096, "outbox-new/0": 4096}
    stock = backup.take_stock({**own, **held})
    assert set(stock.kept) == {"boot.py", "lib/mine.py", "settings.json", "outbox/0"}
    assert set(stock.own) == {"lib/mine.py"} and set(stock.lost) == {"large.bin", "main.py"}
    assert stock.ring == ["outbox/0"]
    with_firmware = backup.take_stock({"main.py": 10, "thermograph/node.mpy": 9, "outbox.d/a": 5})
    assert with_firmware.lost == {} and set(with_firmware.outbox) == {"outbox.d/a"} and with_firmware.ring == []
    many = backup.take_stock({f"{number:02}": 16384 for number in range(10)})
    assert len(many.own) == 8 and len(many.lost) == 2


# -- without a ROM loader


def test_without_a_rom_loader_the_outbox_is_files_and_that_is_said(desk, stock, past):
    code, said = flash(desk, stock)
    assert code == COPIED and "leads to no ROM loader" in said
    assert f"no partition `outbox`: {FEWER}" in said and "--partitions" not in said
    assert_untouched(stock, past)
