"""The ESP32 board over fakes/: flash, pins, resets, time, sensors. Each check is a function of no arguments."""

import os

from thermograph.outbox import Outbox
from thermograph.reading import Reading

from esp32_bench import Uptime, board, chip, folder, fresh, remove, settle

PROBE = "28ff641e8216c3"


def kept_of(outbox):
    return [item.seq for item in outbox.peek(outbox.first, 1 << 30)]


def reading(number):
    return Reading(1763812345000 + number, "ntp", PROBE, "Cel", number / 16, None)


def check_the_outbox_lies_on_its_partition_and_survives_every_cut():
    """Power cuts at each step of a turn through a ring of 3 sectors: what append returned is there after it."""
    made = fresh(sectors=3)
    path = folder("cuts")
    settle(path)
    known = 0
    for fuse in range(0, 900, 7):
        made.fuse = fuse % 97
        try:
            outbox = Outbox(board(path).flash, os.urandom, [(PROBE, "Cel")])
            assert outbox.last >= known, "%d of %d" % (outbox.last, known)
            while True:
                known = max(known, outbox.append(reading(known)))
        except chip.PowerCut:
            made.fuse = None
            made.power_on()
    outbox = Outbox(board(path).flash, os.urandom, [(PROBE, "Cel")])
    assert outbox.last >= known > 2000 and outbox.boot > 100
    remove(path)


def check_a_program_never_erases_and_the_place_is_right():
    made = fresh(sectors=4)
    path = folder("flash")
    settle(path)
    flash = board(path).flash
    assert flash.size == 4 * 4096
    flash.program(4096 + 20, b"\x0f\xf0")
    flash.program(4096 + 20, b"\xf3\x3f")
    assert made.flash["outbox"][4096 + 19 : 4096 + 23] == b"\xff\x03\x30\xff"
    flash.erase(1)
    found = bytearray(4096)
    flash.read(4096, found)
    assert found == b"\xff" * 4096
    for call in (lambda: flash.erase(4), lambda: flash.program(4 * 4096 - 1, b"ab")):
        try:
            call()
            raise AssertionError("beyond the end")
        except OSError:
            pass
    remove(path)


def check_without_the_partition_files_do_and_it_is_said():
    fresh(sectors=0)
    path = folder("folder")
    settle(path, outbox_size=3 * 4096)
    one, said = board(path), []
    one.say = said.append
    outbox = Outbox(one.flash, os.urandom, [(PROBE, "Cel")])
    for number in range(600):
        outbox.append(reading(number))
    assert len(said) == 1 and "249 readings" in said[0] and "no partition outbox" in said[0], said
    one.flash.close()
    flash = board(path).flash
    again = Outbox(flash, os.urandom, [(PROBE, "Cel")])
    assert again.last == 600 and again.stream == outbox.stream
    assert [next(again.peek(seq, 1)).seq for seq in (again.first, 600)] == [again.first, 600]
    flash.close()
    assert sorted(os.listdir(path + "/outbox-3-0")) == ["0", "1", "2"]
    remove(path)


def check_a_blank_board_is_no_access_point_for_ever():
    """Switched on, it opens the portal; restarted when that was over, it waits for the button."""
    made = fresh()
    path = folder("blank")
    first = board(path)
    assert first.setup_wanted()
    try:
        first.restart()
    except chip.Reset:
        made.reset()
    one = board(path)
    assert one.reset == "software", "though the port calls it a hard reset"
    one.ports = (0, 0)
    assert not one.setup_wanted()
    made.pressed[0] = (made.ms() + 60000, made.ms() + 70000)
    opened = []
    one.say = lambda text: opened.append(made.ms())

    def on_wait():
        assert made.ms() < 3600000 and len(opened) < 2
        if opened:
            made.skip(60000)
        return 100

    assert one.setup(on_wait) is False and 65000 <= opened[0] <= 66000, opened
    remove(path)


def check_settings_that_cannot_be_used_open_the_portal():
    fresh()
    path = folder("broken")
    for text in ("", "{", '{"device": "A B"}', "[" * 500):
        with open(path + "/settings.json", "w") as file:
            file.write(text)
        one = board(path)
        assert one.settings is None and one.setup_wanted()
    remove(path)


def check_reset_causes_have_names():
    made = fresh()
    path = folder("causes")
    settle(path)
    names = []
    for cause in (1, 2, 3, 4, 5, 0):
        made.reset(cause)
        names.append(board(path).health()["reset"])
    assert names == ["power-on", "external", "watchdog", "deep-sleep", "software", "unknown"], names
    remove(path)


def check_health_has_what_state_needs():
    fresh()
    path = folder("health")
    settle(path)
    health = board(path).health()
    assert 0 < health["free"] < 105984 and health["rssi"] is None, health
    assert 12000 < health["block"] <= health["idf"] == chip.now.idf.free, health
    remove(path)


def check_the_watchdog_bites_only_who_does_not_feed():
    made = fresh()
    path = folder("watchdog")
    settle(path)
    one = board(path)
    one.feed()
    for _ in range(100):
        one.pause(30000)
        one.feed()
        one.watch()
    try:
        for _ in range(100):
            one.pause(1000)
            one.watch()  # looking at the button is no progress
        raise AssertionError("not bitten")
    except chip.Reset:
        assert 60000 < made.ms() - made.fed < 62000
    remove(path)


def check_time_goes_on_over_a_reset_and_not_over_a_power_cut():
    made = fresh()
    path = folder("time")
    settle(path)
    one = board(path)
    assert one.clock.now()[1] == "none"
    made.skip(5000)
    t = made.true_unix_ms() + 7
    assert one.clock.set(t, one.clock.uptime(), 10)
    one.on_time(t)  # what Sntp calls
    assert one.clock.now()[1] == "ntp"
    made.skip(3600000)
    made.reset()
    after = board(path).clock.now()
    assert after[1] == "rtc" and abs(after[0] - made.true_unix_ms() - 7) <= 2, after
    made.power_on()
    assert board(path).clock.now()[1] == "none"
    made.rtc_memory = bytes([90, 91, 92]) * 20  # what RTC memory holds after a brown-out
    assert board(path).clock.now()[1] == "none"
    remove(path)


def check_connections_that_fail_make_wifi_join_anew_and_its_return_is_news_to_the_link():
    from thermograph.errors import LinkError
    from thermograph.link import Link

    fresh()
    path = folder("stale")
    settle(path)
    one = board(path)
    said = []
    one.say = said.append
    link = Link(one.network, one.clock, one.settings.broker, "fridge-1", lambda: 50, None, 2000)

    def nothing_answers(ip, port):
        raise OSError(113)

    def turn(ms):
        one.pause(ms)
        one.watch()
        return 50

    link.on_wait = lambda: turn(50)
    one.network.pause = lambda ms, socket=None: turn(max(1, ms))
    one.network.stream = nothing_answers
    for count in range(1, 5):
        assert not any(["nothing is reached" in text for text in said]), (count, said)
        try:
            link.connect()
            raise AssertionError("connected")
        except LinkError as error:
            assert error.step == "tcp", error
        assert not link.network_is_new()
        turn(100)
    assert [text for text in said if text.endswith("wifi Home: nothing is reached through it")], said
    assert not one.network.wifi.up
    for _ in range(100):
        turn(50)
    assert one.network.wifi.up and link.network_is_new(), "it joined again: no reason to wait"
    remove(path)


def check_a_long_press_asks_for_setup_once_and_a_short_one_does_not():
    made = fresh()
    path = folder("press")
    settle(path)
    one = board(path)
    made.pressed[0] = (1000, 3000)
    asked = []
    for _ in range(200):
        one.pause(100)
        one.watch()
        if made.pressed[0][0] == 1000 and made.ms() >= 4000:
            made.pressed[0] = (5000, 15000)
        if one.setup_wanted():
            asked.append(made.ms())
    assert len(asked) == 1 and 10000 <= asked[0] <= 10200, asked
    remove(path)


def check_identify_blinks_and_ends_dark():
    made = fresh()
    path = folder("blink")
    settle(path)
    one = board(path)
    one.identify(3)
    for _ in range(100):
        one.pause(50)
        one.watch()
    levels = [level for ms, pin, level in made.led if pin == 2]
    assert levels.count(1) >= 5 and levels[-1] == 0 and made.led[-1][0] <= 3100, made.led
    remove(path)


def check_sensors_are_found_and_one_that_falls_off_is_absent():
    made = fresh()
    path = folder("found")
    settle(path)
    first = board(path).sensors
    assert len(first) == 1 and first[0].channels[0][0].startswith(PROBE) and first[0].channels[0][1] == "Cel"
    made.wires.clear()
    again = board(path).sensors
    assert [one.channels for one in again] == [one.channels for one in first]
    assert again[0].read() == [(None, "absent")]
    remove(path)


def check_a_guess_that_costs_resolution_is_said_once_with_what_to_do():
    from sensor_buses import I2C, OneShot, Words

    made = fresh()
    path = folder("guess")
    settle(path)
    made.i2c = I2C({0x48: Words({0: b"\x19\xb0", 1: b"\x00"}), 0x49: OneShot(Uptime(), b"\x19\xb0")})
    said = []
    for _ in range(2):
        one = board(path)
        one.say = said.append
        names = [sensor.channels[0][0] for sensor in one.sensors]
        assert "lm75-48" in names and "tmp102-49" in names, names
    told = [text for text in said if "look the same" in text]
    assert len(told) == 1 and '{"kind": "tmp105", "id": "lm75-48", "address": 72}' in told[0], said
    settle(path, sensors=[{"kind": "tmp105", "id": "lm75-48", "address": 72}])
    assert type(board(path).sensors[0]).__name__ == "TMP105"
    remove(path)


def check_named_sensors_are_made_on_the_pins_of_the_settings():
    from thermograph.errors import SettingsError

    made = fresh()
    path = folder("named")
    made.frames[27] = lambda: b"\x02\x8c\x01\x5f\xee"  # the AM2302 manual's example: 65.2 %RH, 35.1 degrees
    settle(path, pins={"dht": 27}, sensors=[{"kind": "dht22", "id": "cellar"}])
    sensors = board(path).sensors
    made.skip(2000)
    assert sensors[0].read() == [(35.1, None), (65.2, None)]
    settle(
        path,
        sensors=[
            {"kind": "max31855", "id": "oven"},
            {"kind": "ntc", "id": "n", "ohms": 10000, "beta": 3950, "series_ohms": 10000},
        ],
    )
    made.uv[34] = 1650000
    oven, ntc = board(path).sensors
    assert oven.read()[0] == (None, "absent") and abs(ntc.read()[0][0] - 25) < 0.1
    settle(path, sensors=[{"kind": "sundial", "id": "s"}])
    try:
        assert board(path).sensors is None
        raise AssertionError("made of what?")
    except SettingsError as error:
        assert "sundial" in str(error)
    remove(path)


def check_the_radio_is_off_and_waited_for_before_sleep():
    from thermograph.boards import power

    made = fresh()
    path = folder("off")
    settle(path)
    one = board(path)
    network = one.network
    for _ in range(300):
        network.up()
        one.pause(20)
        one.watch()
    assert network.up() and one.health()["rssi"] == -61
    try:
        power.sleep(one, 60000, {"freed": 3})
        raise AssertionError("awake")
    except chip.DeepSleep as sleep:
        made.wake(sleep.args[0])
    assert made.radio_hangs == 0 and made.sleeps == [60000]
    again = board(path)
    assert again.memory == {"freed": 3} and 60000 <= again.slept() <= 60300
    assert again.clock.uptime() >= 66000, "uptime goes on"
    made.reset(chip.WDT)
    assert board(path).memory is None
    remove(path)
