"""One attempt to join a Wi-Fi network, and in words why it failed."""

_LIMIT = 20000  # ms
_SETTLE = 1000  # ms in which the status may still be the last attempt's

# What WLAN.status() says: MicroPython's STAT_ constants, which are ESP-IDF's reasons (wifi_err_reason_t).
_PASSWORD = (2, 15, 202, 204)
_ABSENT = (201, 210, 211, 212)


class Join:
    """station: network.WLAN(STA_IF). step() returns None while it is trying, then "" or why not."""

    def __init__(self, station, clock, ssid, password):
        self._station = station
        self._clock = clock
        self._ssid = ssid
        self._since = clock.uptime()
        self._outcome = self._start(password)

    def step(self):
        if self._outcome is None:
            self._outcome = self._look()
        return self._outcome

    def _start(self, password):
        station = self._station
        try:
            station.active(True)
            station.config(reconnects=1)  # unlimited is the default, and then the status never says why
            if station.isconnected():
                station.disconnect()
            station.connect(self._ssid, password or None)
        except (OSError, ValueError, RuntimeError) as error:
            return self._trouble("cannot be joined: %s" % error)
        return None

    def _look(self):
        station = self._station
        if station.isconnected():
            return ""
        spent = self._clock.uptime() - self._since
        status = station.status()
        if spent >= _SETTLE and status in _PASSWORD:
            return self._trouble("refuses this password.")
        if spent >= _SETTLE and status in _ABSENT:
            return self._trouble("is not found here.")
        if spent >= _SETTLE and 200 <= status < 300:
            return self._trouble("does not let this device in (code %d)." % status)
        if spent >= _LIMIT:
            return self._trouble("gave no connection within %d seconds." % (_LIMIT // 1000))
        return None

    def _trouble(self, text):
        try:
            self._station.disconnect()
        except OSError:
            pass
        return "The network %s %s" % (self._ssid, text)
