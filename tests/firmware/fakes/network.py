"""network, as MicroPython has it on an ESP32 (network_wlan.c): joining takes time, and the status tells why not only
where the number of attempts is limited."""

import chip

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 201, 202
_JOIN, _OFF = 300, 40  # ms


def WLAN(interface=STA_IF):
    if interface not in chip.now.radio:
        chip.now.radio[interface] = Interface(interface)
    return chip.now.radio[interface]


class Interface:
    def __init__(self, number):
        self._number = number
        self._active = False
        self._off_at = 0
        self._asked_at = self._asked = None
        self.settings = {"reconnects": -1}

    def active(self, flag=None):
        if flag is None:
            return self._active or chip.now.ms() < self._off_at
        if self._active and not flag:
            self._off_at = chip.now.ms() + _OFF
            self._asked = None
        if self._number == STA_IF and bool(flag) != self._active and not chip.now.idf.radio(bool(flag)):
            raise OSError("WiFi Out of Memory")
        self._active = bool(flag)

    def config(self, name=None, **fields):
        if name is not None:
            return self.settings[name]
        if not self._active:
            raise OSError("Wifi Not Started")
        self.settings.update(fields)

    def scan(self):
        assert self._number == STA_IF and self._active
        chip.now.pass_ms(1)
        return [(ssid, b"\x02" * 6, 6, dbm, 3 if password else 0, False) for ssid, password, dbm in chip.now.air]

    def connect(self, ssid, password=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._asked, self._asked_at = (ssid.encode(), password or ""), chip.now.ms()
        chip.now.idf.join()

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._asked = None

    def isconnected(self):
        return self._number == STA_IF and self._outcome() == STAT_GOT_IP

    def status(self, name=None):
        if name == "rssi":
            for ssid, _, dbm in chip.now.air:
                if self._asked and ssid == self._asked[0]:
                    return dbm
            raise OSError(0x300F)  # ESP_ERR_WIFI_NOT_CONNECT
        outcome = self._outcome()
        failed = outcome in (STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD)
        return STAT_CONNECTING if failed and self.settings["reconnects"] == -1 else outcome

    def ifconfig(self, value=None):
        if self._number == AP_IF:  # 192.168.4.1 on a board
            return ("127.0.0.1", "255.255.255.0", "127.0.0.1", "0.0.0.0")  # noqa: S104
        up = self.isconnected()
        return ("192.168.1.7", "255.255.255.0", "192.168.1.1", "127.0.0.1") if up else ("0.0.0.0",) * 4  # noqa: S104

    def _outcome(self):
        if self._asked is None:
            return STAT_IDLE
        if chip.now.ms() - self._asked_at < _JOIN:
            return STAT_CONNECTING
        found = [password for ssid, password, _ in chip.now.air if ssid == self._asked[0]]
        if not found:
            return STAT_NO_AP_FOUND
        return STAT_GOT_IP if self._asked[1] in found else STAT_WRONG_PASSWORD
