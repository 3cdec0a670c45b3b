"""Settings, the Store over them, commands and the crash log: hostile input, cuts, ways back; on both interpreters."""

import json

from thermograph import commands, kept, settings
from thermograph.crashlog import CrashLog, describe
from thermograph.errors import SettingsError
from thermograph.settings import checked
from thermograph.settings_store import FILE, REMOTE, Store

from nor import Random
from virtual import Crash, Files, PowerGone, Time, World, fields

HOSTILE = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b"\xff\xfe{}",
    b"[" * 1500,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b"{}" * 2000,
    b'{"revision": "7"}',
    b'{"revision": true}',
    b'{"revision": -1}',
    b'{"revision": 0}',
    b'{"revision": 1e99}',
    b'{"revision": 99999999999999999999}',
    b'{"revision": null}',
    b'{"interval": 10}',
)
REFUSED = (
    {"interval": "10"},
    {"interval": 0},
    {"interval": -5},
    {"interval": 1e9},
    {"interval": None},
    {"interval": 0.01},
    {"interval": True},
    {"intervall": 10},
    {"sensors": {}},
    {"sensors": [1]},
    {"sensors": [{"kind": "x", "id": ""}]},
    {"broker": 7},
    {"broker": {"port": 0}},
    {"broker": {"password": None}},
    {"broker": {"hots": "a"}},
    {"clock": []},
    {"device": None},
    {"send": []},
    {"send": {"every": 0}},
    {"send": {"change": "much"}},
    {"device": "A b"},
    {"send": {"change": {"Cel": -1}}},
    {"outbox_size": 8192},
    {"outbox_size": 1048576},
    {"networks": [{"ssid": ""}]},
    {"pins": {"led": 99}},
    {"networks": [{"ssid": "a", "password": "short"}]},
    {"dns": ["name"]},
    {"ntp": "pool"},
    {"battery": 1},
    {"broker": {"tls": {"ca": "x"}}},
    {"setup_password": "short"},
    {"oversample": 0},
    {"oversample": 1000},
)


def store(texts=None, **changes):
    files = Files(texts or {FILE: json.dumps(fields(**changes))})
    made = Store(files)
    made.load()
    return made, files


def offer(made, revision, **wanted):
    wanted["revision"] = revision
    return made.offer(json.dumps(wanted).encode())


# -- the person's settings


def check_defaults():
    made = checked({"device": "a"})
    assert (made.interval, made.oversample, made.send.every, made.send.within) == (60, 1, 1, 3600)
    assert made.send.change is None and made.battery is False and made.networks == [] and made.sensors == []
    assert made.broker.port == 1883 and made.broker.tls is None and made.ntp is None and made.dns == []


def check_send_change_is_for_all_units_or_each():
    assert checked({"device": "a", "send": {"change": 0.5}}).send.change == 0.5
    made = checked({"device": "a", "send": {"change": {"Cel": 0.5}}})
    assert made.send.change == {"Cel": 0.5}


def check_tls_gives_a_port_and_a_host():
    ca = "-----BEGIN CERTIFICATE-----\nx"
    made = checked({"device": "a", "broker": {"host": "b.example", "tls": {"ca": ca}}}).broker
    assert (made.port, made.tls.ca, made.tls.host) == (8883, ca, "b.example")


def check_no_secret_shows():
    made = checked(fields(networks=[{"ssid": "n", "password": "wifi-secret"}], setup_password="setup-secret"))
    assert "secret" not in repr(made) + str(made) + repr(made.broker) + repr(made.send)
    for text in ('{"device": "a", "secret-secret', '{"device": 7, "broker": {"password": "secret"}}'):
        try:
            settings.load(text)
            raise AssertionError(text)
        except SettingsError as error:
            assert "secret" not in str(error)


# -- the remote ones


def check_a_revision_is_merged_over_the_file_and_kept():
    made, files = store(interval=30, send={"every": 5, "within": 60})
    assert offer(made, 3, interval=10, send={"every": 7}) == ["interval", "send"]
    for one in (made, store(files.texts)[0]):
        now = one.settings
        assert (now.revision, now.interval, now.send.every, now.send.within) == (3, 10, 7, 60) and not one.on_trial
    assert json.loads(files.texts[FILE])["interval"] == 30, "the person's file is the person's"
    assert offer(made, 4) == ["interval", "send"] and made.settings.interval == 30, "what is left out is the file's"


def check_the_golden_example_is_taken():
    with open(__file__.rsplit("/", 2)[0] + "/wire/v1/settings.json") as file:
        message = json.load(file)["message"]
    made, _ = store(send={"every": 1, "within": 60})
    assert made.offer(json.dumps(message).encode()) == ["interval", "send"]
    now = made.settings
    assert (now.revision, now.interval, now.send.every, now.send.within) == (7, 30, 10, 60)


def check_old_revisions_are_no_news():
    made, files = store(revision=2)
    writes = files.writes
    assert offer(made, 2, interval=10) is None and offer(made, 1, interval=10) is None
    assert offer(made, 3, interval=10) == ["interval"]
    assert offer(made, 3, interval=20) is None and made.settings.interval == 10 and made.error is None
    assert files.writes == writes + 1


def check_hostile_input_changes_nothing_and_is_named():
    for payload in HOSTILE:
        made, files = store()
        assert made.offer(payload) == [] and made.settings.revision == 0 and made.settings.interval == 60
        assert made.error and REMOTE not in files.texts
    for wanted in REFUSED:
        made, files = store()
        assert offer(made, 5, **wanted) == [], wanted
        assert made.settings.revision == 0 and made.refused == 5
        assert made.error.startswith("revision 5 refused: ") and "secret" not in made.error, made.error
        assert offer(made, 5, interval=10) is None and offer(made, 6, interval=10) == ["interval"] and not made.error


def check_noise_never_leaves_the_handlers():
    """Valid settings and commands with bytes changed, cut and doubled."""
    made, files = store()
    sane = json.dumps({"revision": 7, "interval": 5, "send": {"every": 2}, "broker": {"host": "b"}}).encode()
    order = json.dumps({"id": "a1", "command": "identify", "seconds": 3}).encode()
    board = Hand(files)
    random = Random(9)
    for _ in range(1500):
        for seed, take in ((sane, made.offer), (order, lambda payload: commands.run(payload, board, board))):
            noisy = bytearray(seed)
            for _ in range(1 + random(4)):
                noisy[random(len(noisy))] = random(256)
            at = random(len(noisy))
            noisy = noisy[:at] + noisy[random(len(noisy)) :] if random(3) == 0 else noisy
            take(bytes(noisy))
    made, files = store(files.texts)
    assert made.settings.device == "fridge-1"


def check_what_may_cut_it_off_is_on_trial_and_confirmed():
    made, files = store()
    assert offer(made, 3, broker={"host": "10.0.0.9"}) == ["broker"] and made.on_trial
    made, _ = store(files.texts)
    assert made.on_trial and made.settings.broker.host == "10.0.0.9" and made.settings.broker.user == "fridge"
    made.confirm()
    made, _ = store(files.texts)
    assert not made.on_trial and made.settings.revision == 3 and made.settings.broker.host == "10.0.0.9"


def check_a_rollback_goes_to_what_was_before_and_refuses_it_for_good():
    made, files = store()
    offer(made, 3, interval=10)
    offer(made, 5, interval=20, broker={"host": "10.0.0.9"})
    made, _ = store(files.texts)
    assert made.roll_back("not connected in 600 s")
    made, _ = store(files.texts)
    assert (made.settings.revision, made.settings.interval, made.settings.broker.host) == (3, 10, "10.0.0.1")
    assert made.refused == 5 and made.error == "revision 5 refused: not connected in 600 s" and not made.on_trial
    assert offer(made, 5, interval=20, broker={"host": "10.0.0.9"}) is None
    assert offer(made, 6, interval=20) == ["interval"] and made.error is None


def check_many_boots_on_trial_roll_back_too():
    made, files = store()
    offer(made, 3, broker={"host": "10.0.0.9"})
    for boot in range(10):
        made, _ = store(files.texts)
        assert made.on_trial and made.settings.revision == 3, boot
    made, _ = store(files.texts)
    assert not made.on_trial and made.settings.revision == 0 and made.refused == 3


def check_a_person_wins_over_what_came_from_afar():
    made, files = store()
    offer(made, 3, interval=10, send={"every": 9})
    made.save(fields(interval=120))
    made, _ = store(files.texts)
    assert (made.settings.interval, made.settings.send.every, made.settings.revision) == (120, 9, 3)
    made.forget("broker")
    assert "broker" not in made.fields()
    try:
        made.save({"device": "Not A Name"})
        raise AssertionError("saved")
    except SettingsError:
        assert made.fields()["device"] == "fridge-1"


def check_files_that_rot_are_no_settings():
    for text in ("", "{", "[]", '{"revision": "x"}', '{"revision": 3, "fields": 7}', '{"revision": 3}', "[" * 3000):
        made, _ = store({FILE: json.dumps(fields()), REMOTE: text})
        assert made.settings.revision == 0 and offer(made, 1, interval=10) == ["interval"]
    made, _ = store({FILE: json.dumps(fields()), REMOTE: '{"revision": 3, "fields": {"interval": 0}}'})
    assert made.settings.interval == 60 and "interval" in made.error


def check_a_cut_at_each_write_leaves_old_or_new():
    """Every history of offers, trials and rollbacks, cut at each of its writes: what loads is one of its states."""
    fuse = 0
    while True:
        files = Files({FILE: json.dumps(fields())})
        states = {(0, 60, "10.0.0.1")}
        files.fuse = fuse
        try:
            _history(files, states)
            break
        except PowerGone:
            files.fuse = None
        made, _ = store(files.texts)
        now = made.settings
        assert (now.revision, now.interval, now.broker.host) in states, (fuse, now.revision, states)
        fuse += 1
    assert fuse >= 8


def _history(files, states):
    for revision, wanted in ((1, {"interval": 10}), (2, {"broker": {"host": "b"}}), (3, {"broker": {"host": "c"}})):
        made = Store(files)
        made.load()
        host = wanted.get("broker", {}).get("host", "10.0.0.1")
        states.add((revision, wanted.get("interval", 60), host))
        offer(made, revision, **wanted)
        made.load()
        if revision == 2:
            made.confirm()
        if revision == 3:
            made.roll_back("no")
    made.save(fields(interval=60, device="fridge-1"))


def check_what_is_no_news_leaves_no_settings_in_memory():
    """With each connection they come again, the authority's text of up to 8 kB with them."""
    made, files = store(interval=60)
    hand = Hand(files)
    assert hand.store.do("offer", b'{"revision": 3, "interval": 30}') and hand.store.settings.interval == 30
    assert hand.store.do("offer", b'{"revision": 3, "interval": 30}') is None and hand.store.settings is None


def check_a_file_that_cannot_be_read_for_once_refuses_and_ends_nothing():
    made, files = store(interval=60)
    files.remove(FILE)
    assert made.offer(b'{"revision": 3, "interval": 30}') == [] and made.error
    made = Store(files)
    assert made.offer(b'{"revision": 3, "interval": 30}') == [] and "cannot read" in made.error


# -- commands


class Hand:
    """A node and a board that note what they are told."""

    def __init__(self, files):
        self.files = files
        self.store = kept.settings(self)
        self.told = []

    def identify(self, seconds):
        self.told.append(("identify", seconds))

    def sample_now(self):
        self.told.append("sample")
        return True

    def restart(self, why):
        self.told.append("restart")


def run(hand, **command):
    return commands.run(json.dumps(command).encode(), hand, hand)


def check_each_command_does_what_it_says():
    made, files = store(networks=[{"ssid": "a", "password": ""}])
    hand = Hand(files)
    assert run(hand, id="1", command="identify", seconds=3)[0] == "1"
    assert run(hand, id=2, command="identify", seconds="long")[0] == "2"
    run(hand, id="3", command="sample")
    run(hand, id="4", command="restart")
    assert hand.told == [("identify", 3), ("identify", 10), "sample", "restart"]
    run(hand, id="5", command="forget-wifi")
    assert "networks" not in hand.store.do("fields") and hand.told[-1] == "restart"


def check_an_id_is_done_once_over_restarts_too():
    made, files = store()
    assert run(Hand(files), id="a", command="restart")[0] == "a"
    again = Hand(files)
    assert run(again, id="a", command="restart") == (None, "ignored: command a was done before") and not again.told
    for number in range(40):
        run(again, id=number, command="sample")
    assert len(json.loads(files.texts["commands.json"])) == 16


def check_what_is_no_command_is_ignored():
    made, files = store()
    hand = Hand(files)
    for payload in HOSTILE:
        assert commands.run(payload, hand, hand)[0] is None
    for payload in (b'{"command": "restart"}', b'{"id": "a b", "command": "restart"}', b'{"id": "", "command": "x"}'):
        assert commands.run(payload, hand, hand)[0] is None
    for command in ("explode", "__class__", "", "RESTART"):
        assert run(hand, id="x", command=command)[0] is None
    assert not hand.told and "commands.json" not in files.texts
    files.texts["commands.json"] = "[[["
    assert run(hand, id="y", command="sample")[0] == "y"


# -- the crash log


def check_the_crash_log_is_a_ring_and_survives():
    files, world = Files(), World()
    log = CrashLog(files, Clock(world))
    for number in range(12):
        log.crash("boom %d" % number)
    log = CrashLog(files, Clock(world))
    assert log.in_a_row == 12 and log.newest["text"] == "boom 11" and len(log.entries) == 8
    assert log.newest["t"] == world.now
    log.note("boom 11")
    assert len(log.entries) == 8 and log.entries[0]["text"] == "boom 4"
    log.calm()
    assert CrashLog(files, Clock(world)).in_a_row == 0
    for text in ("", "{", "[]", '{"entries": 7, "in_a_row": 1}', '{"entries": [7, {}], "in_a_row": "x"}'):
        assert CrashLog(Files({"crashes.json": text}), Clock(world)).newest is None


def Clock(world):
    from thermograph.clock import Clock as Real

    return Real(Time(world), "ntp")


def check_a_crash_is_told_in_one_line():
    def inner():
        raise Crash("it broke")

    try:
        inner()
    except Crash as error:
        text = describe(error)
    assert text.startswith("Crash: it broke (checks_settings.py:") and "\n" not in text, text
    try:
        raise ValueError("x" * 5000)
    except ValueError as error:
        assert len(describe(error)) <= 240
