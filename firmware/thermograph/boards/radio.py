"""The ESP32's network: Wi-Fi that is joined when somebody needs it, and the time from it."""

import network

from ..time_servers import TimeServers
from ..wifi import Wifi
from .sockets import Sockets

_TIME_SERVERS = ("0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org")
_FAILURES = 4  # connections in a row that fail; then the access point has forgotten this station, perhaps
_TIME_WAIT = 10000  # ms that a device on a battery stays awake for the time, once it has a network
_TIME_OLD = 6 * 3600000  # ms after which its clock is to be set again: the sleeping ESP32's is good for some 0.1 %


class Radio(Sockets):
    """board: an Esp32."""

    def __init__(self, board):
        settings, clock = board.settings, board.clock
        super().__init__(clock, board.entropy, self._name_servers)
        self._wlan = network.WLAN(network.STA_IF)
        self._given = settings.dns
        self._clock = clock
        self._board = board
        t, quality = clock.now()
        self._time_due = quality == "none" or t - board.set_at > _TIME_OLD
        self.up_since = None

        def say(text):
            board.say("%s %s" % (clock.text(), text))

        self.wifi = Wifi(self._wlan, settings.networks, clock, board.random, say, _in_a_thread)
        self._time = TimeServers(self, clock, settings.ntp or _TIME_SERVERS, board.entropy, self._on_time, say)

    def tick(self):
        """At least every 100 ms."""
        self.wifi.tick()
        if self.wifi.up and self.failures >= _FAILURES:
            self.failures = 0
            self.wifi.join_anew("nothing is reached through it")
        if not self.wifi.up:
            self.up_since = None
            return
        if self.up_since is None:
            self.up_since = self._clock.uptime()
        self._time.tick()

    def up(self):
        """Whoever asks needs it."""
        self.wifi.on()
        return self.wifi.up

    @property
    def trouble(self):
        return self.wifi.trouble

    def off(self):
        self.wifi.off()
        self.up_since = None

    def busy(self):
        """The time is old, and about to come."""
        return self._time_due and self.up_since is not None and self._clock.uptime() - self.up_since < _TIME_WAIT

    def rssi(self):
        """dBm, or None."""
        try:
            return self._wlan.status("rssi") if self.wifi.up else None
        except (OSError, ValueError, RuntimeError):
            return None

    def _on_time(self, t):
        self._time_due = False
        self._board.on_time(t)

    def _name_servers(self):
        return self._given or [ip for ip in self._wlan.ifconfig()[3:] if ip != "0.0.0.0"]  # noqa: S104


def _in_a_thread(call):
    import _thread

    _thread.start_new_thread(call, ())
