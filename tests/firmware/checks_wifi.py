"""Checks of wifi.py that run on CPython and MicroPython, over a model of an ESP32's WLAN with its three bad habits."""

from thermograph.wifi import Wifi

HOME = {"ssid": "home", "password": "warm-and-dry"}
BARN = {"ssid": "barn", "password": "cold-and-wet"}
NO_ADDRESS = "0.0.0.0"  # noqa: S104  nothing is bound to it
OPEN = {"ssid": "caf\u00e9", "password": ""}


class Air:
    """network.WLAN(STA_IF) as network_wlan.c of MicroPython's ESP32 port has it, and the clock.

    stations: ssid → dict of rssi, password, dhcp (ms, or None: never), joins (ms, or None: never answers), hidden."""

    def __init__(self, **stations):
        self.stations = stations
        self.now = 0
        self.on = False
        self.reconnects = None
        self.breaks = []  # what the radio raises next
        self.log = []
        self._target = None
        self._since = 0
        self._left = -10000
        self._reason = 0

    def uptime(self):
        return self.now

    def active(self, on):
        self.on = on
        self.log.append("on" if on else "off")
        self._target = None

    def config(self, reconnects):
        self.reconnects = reconnects

    def scan(self):
        assert self.on
        self.log.append("scan")
        self._break()
        return [
            (b"" if one.get("hidden") else name.encode(), b"\1\2\3\4\5\6", 1, one["rssi"], 3, False)
            for name, one in self.stations.items()
        ]

    def connect(self, ssid, password):
        assert self.on and self.reconnects == 0
        self._break()
        self.log.append(ssid)
        self._target, self._since, self._reason = (ssid, password), self.now, 0
        if self.now - self._left < 200:
            self._reason = 8  # the echo of the disconnect before

    def disconnect(self):
        if not self.on:
            raise OSError(-1, "WiFi Not Started")
        if self._target:
            self._left = self.now
        self._target = None

    def isconnected(self):
        return self.status() == 1010

    def status(self, what=None):
        age = self.now - self._since
        station = self.stations.get(self._target[0]) if self._target else None
        joined = station and station.get("joins", 500) is not None and age >= station.get("joins", 500)
        if what == "rssi":
            if not joined:
                raise OSError(0x300F, "WiFi Not Connected")
            return station["rssi"]
        if not self._target:
            return 1000
        if self._reason:
            return self._reason
        if station is None:
            return 201 if age >= 2000 else 1001
        if station.get("joins", 500) is None:
            return 1001
        if joined and (self._target[1] or "") != station.get("password", ""):
            return 15
        dhcp = station.get("dhcp", 800)
        return 1010 if joined and dhcp is not None and age >= dhcp else 1001

    def ifconfig(self):
        return ("10.0.0.2" if self.isconnected() else NO_ADDRESS, "255.255.255.0", "10.0.0.1", "10.0.0.1")

    def _break(self):
        if self.breaks:
            raise self.breaks.pop(0)

    def joined(self):
        return self._target[0] if self.isconnected() else None


class Trial:
    def __init__(self, air, *networks):
        self.air = air
        self.said = []
        self.wifi = Wifi(air, list(networks), air, lambda: 1, self.said.append)
        self.wifi.on()

    def run(self, seconds, until=None):
        """Ticks of 50 ms; the ms it took until that is true."""
        start = self.air.now
        while self.air.now - start < seconds * 1000:
            self.wifi.tick()
            if until is not None and until():
                break
            self.air.now += 50
        return self.air.now - start

    def joins(self, ssid, seconds):
        took = self.run(seconds, lambda: self.wifi.up)
        assert self.wifi.up and self.air.joined() == ssid, (self.wifi.trouble, self.said)
        assert self.wifi.trouble is None
        return took


def station(rssi=-60, network=HOME, **more):
    return dict({"rssi": rssi, "password": network["password"]}, **more)


def check_joins_the_one_it_knows_without_a_scan():
    trial = Trial(Air(home=station()), HOME)
    assert trial.joins("home", 5) < 2000 and "scan" not in trial.air.log
    assert trial.said == ["wifi home 10.0.0.2"]


def check_the_strongest_first():
    for home, barn, ssid in ((-70, -50, "barn"), (-50, -70, "home")):
        trial = Trial(Air(home=station(home), barn=station(barn, BARN), other=station(-10)), HOME, BARN)
        trial.joins(ssid, 5)
        assert trial.air.log == ["on", "scan", ssid]


def check_an_open_network_and_a_name_that_is_not_ascii():
    air = Air(**{"home": station(-80), "caf\u00e9": {"rssi": -40}})
    Trial(air, HOME, OPEN).joins("caf\u00e9", 5)


def check_a_wrong_password_leads_to_the_next_and_comes_last_from_then_on():
    air = Air(home=station(-40, password="changed-since"), barn=station(-80, BARN))
    trial = Trial(air, HOME, BARN)
    trial.joins("barn", 10)
    assert trial.said[0] == "wifi home: wrong password" and air.log == ["on", "scan", "home", "barn"]
    air.disconnect()
    trial.run(1)
    trial.joins("barn", 10)
    assert air.log[4:] == ["scan", "barn"]
    text = " ".join(trial.said)
    assert HOME["password"] not in text and BARN["password"] not in text


def check_wrong_password_and_no_other():
    trial = Trial(Air(home=station(password="changed-since")), HOME)
    trial.run(10)
    assert not trial.wifi.up and trial.wifi.trouble == "home: wrong password"


def check_no_such_network():
    trial = Trial(Air(), HOME, BARN)
    trial.run(30)
    assert not trial.wifi.up and trial.wifi.trouble in ("home: not found", "barn: not found")


def check_a_hidden_network_is_tried_after_what_is_seen():
    air = Air(home=station(-40, password="changed-since"), barn=station(-50, BARN, hidden=True))
    Trial(air, HOME, BARN).joins("barn", 10)


def check_association_and_address_have_deadlines_and_names():
    trial = Trial(Air(home=station(joins=None)), HOME)
    took = trial.run(60, lambda: trial.said)
    assert trial.said == ["wifi home: no answer"] and 15000 <= took <= 16500
    trial = Trial(Air(home=station(dhcp=None)), HOME)
    took = trial.run(60, lambda: trial.said)
    assert trial.said == ["wifi home: no address by DHCP"] and 15000 <= took <= 17000


def check_no_address_from_the_strongest_leads_to_the_next():
    air = Air(home=station(-40, dhcp=None), barn=station(-80, BARN))
    Trial(air, HOME, BARN).joins("barn", 25)


def check_rests_grow_to_half_a_minute_and_begin_anew_after_success():
    air = Air()
    trial = Trial(air, HOME)
    trial.run(600)
    tries = len([one for one in air.log if one == "home"])
    assert 15 <= tries <= 24, tries
    air.stations["home"] = station()
    assert trial.joins("home", 60) <= 36000
    del air.stations["home"]
    trial.run(3)
    assert not trial.wifi.up
    air.stations["home"] = station()
    assert trial.joins("home", 10) < 6000, "short again"


def check_a_lost_network_is_noticed_and_joined_again_at_once():
    air = Air(home=station(), barn=station(-80, BARN))
    trial = Trial(air, HOME, BARN)
    trial.joins("home", 5)
    del air.stations["home"]
    trial.run(0.1)
    assert not trial.wifi.up and trial.wifi.trouble == "home: lost"
    trial.joins("barn", 5)


def check_a_radio_that_fails_is_switched_off_and_on():
    air = Air(home=station(), barn=station(-80, BARN))
    trial = Trial(air, HOME, BARN)
    air.breaks = [OSError(1, "scan"), RuntimeError("Wifi Unknown Error")] + [OSError(2, "no")] * 4
    trial.run(120, lambda: trial.wifi.up)
    assert trial.wifi.up and air.log.count("off") >= 1


def check_a_scan_that_cannot_be_started_is_tried_again():
    """ESP-IDF has no room for its thread while TLS is open."""
    air = Air(home=station(), barn=station(-80, BARN))
    trial = Trial(air, HOME, BARN)
    trial.joins("home", 5)
    refused = []

    def run(call):
        if len(refused) < 2:
            refused.append(call)
            raise OSError("can't create thread")
        call()

    trial.wifi._given = trial.wifi._given[:5] + (run,)  # noqa: RUF005 - MicroPython has no other way
    trial.wifi.join_anew("nothing is reached through it")
    trial.run(1)
    assert not trial.wifi.up and "can't create thread" in trial.wifi.trouble
    trial.joins("home", 30)


def check_off_is_off():
    air = Air(home=station())
    trial = Trial(air, HOME)
    trial.joins("home", 5)
    trial.wifi.off()
    assert not air.on and not trial.wifi.up and trial.wifi.trouble == "switched off"
    before = list(air.log)
    trial.run(60)
    assert air.log == before
    trial.wifi.off()
    trial.wifi.on()
    trial.joins("home", 5)


def check_no_network_is_known():
    trial = Trial(Air(home=station()))
    trial.run(100)
    assert not trial.wifi.up and trial.wifi.trouble == "no network is known"


def check_a_scan_in_a_thread_is_waited_for_but_not_for_ever():
    air = Air(home=station(), barn=station(-80, BARN))
    later = []
    wifi = Wifi(air, [BARN, HOME], air, lambda: 1, lambda text: None, later.append)
    trial = Trial(air, HOME)
    trial.wifi = wifi
    wifi.on()
    trial.run(2)
    assert wifi.joining.state == "scan"
    later.pop()()
    trial.joins("home", 3)
    wifi.off()
    wifi.on()
    trial.joins("barn", 15)  # the thread never answers: in the order of the settings


def check_recovery_takes_less_than_a_minute_whatever_came_before():
    for away in (1, 30, 300, 4000):
        air = Air(home=station())
        trial = Trial(air, HOME)
        trial.joins("home", 5)
        del air.stations["home"]
        trial.run(away)
        air.stations["home"] = station()
        assert trial.joins("home", 60) < 40000
