"""Wifi: whether there is a network, and that one is joined where there is none. Driven by tick, never waiting."""

from .moment import let_go


class Wifi:
    """wlan: network.WLAN(network.STA_IF) or its like; networks: dicts with ssid and password; random(): in [0, 1);
    say(text): a line for people; run(call): runs a call that may block, in a thread where there is one.

    up: True while there is an address; trouble: why not, for people."""

    def __init__(self, wlan, networks, clock, random, say, run=None):
        self._given = (wlan, networks, clock, random, say, run)
        self._wlan = wlan
        self._say = say
        self._wrong = set()
        self._ssid = None
        self.joining = None  # while it has none
        self.up = False
        self.trouble = "switched off"

    def tick(self):
        """To be called often; returns at once, or after run() where that blocks."""
        joining = self.joining
        if joining is not None:
            joining.tick()
            self.trouble, self.up = joining.trouble, joining.up
            if self.up:
                self._ssid = joining.ssid
                self._forget()
        elif self.up and not has_address(self._wlan):
            self.join_anew("lost")

    def on(self, lost=None):
        if self.joining is None and not self.up:
            from .joining import Joining

            self.joining = Joining(*self._given, wrong=self._wrong, lost=lost)
            self.trouble = self.joining.trouble

    def join_anew(self, why):
        """The network that there is, is none any more."""
        why = "%s: %s" % (self._ssid, why)
        self._say("wifi %s" % why)
        self.up = False
        self.on(why)

    def off(self):
        """The radio is off when this returns. Before a deep sleep this must be: one with Wi-Fi on may hang."""
        self._forget()
        self.up = False
        self.trouble = "switched off"
        for switch in (self._wlan.disconnect, lambda: self._wlan.active(False)):
            try:
                switch()
            except (OSError, RuntimeError):
                pass  # it was off, or not connected

    def _forget(self):
        self.joining = None
        let_go("joining")


def has_address(wlan):
    return wlan.isconnected() and wlan.ifconfig()[0] != "0.0.0.0"  # noqa: S104  nothing is bound to it
