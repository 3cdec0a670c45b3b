"""Joining: joins the strongest of the known networks, or the next where that fails; driven by tick, never waiting.
Loaded by wifi.py while there is no network.

    scan ──> settle ──> associate ──> address ──> up
     ^          ^            │            │
     │          └────────────┴────────────┴── failed, the next network
    resting <── failed, and none is left: it rests twice as long

`wlan` is network.WLAN(network.STA_IF) or its like. Three things of the ESP32 (network_wlan.c) decide how it is used:
it tries again for ever and hides why it fails unless told reconnects=0; a connect right after a disconnect fails by
that disconnect's echo; and its scan blocks for 2 s, so the board runs it in a thread.
"""

from .wifi import has_address

_RETRY_FIRST, _RETRY_LAST = 2000, 32000  # ms of rest
_SCAN, _SETTLE, _ASSOCIATE, _ADDRESS = 10000, 300, 15000, 15000  # ms, the deadline of each
_RESTART_AFTER = 3  # rounds without success, then the radio is switched off and on
_IDLE, _CONNECTING, _GOT_IP = 1000, 1001, 1010  # status() of an ESP32; all else is why it failed
_WRONG_PASSWORD = "wrong password"  # noqa: S105  no password, but a reason
_REASONS = {
    2: _WRONG_PASSWORD,  # authentication expired
    15: _WRONG_PASSWORD,  # 4-way handshake timeout
    202: _WRONG_PASSWORD,  # authentication failed
    204: _WRONG_PASSWORD,  # handshake timeout
    201: "not found",
    200: "too weak",
    210: "needs another kind of security",
    211: "needs another kind of security",
    212: "too weak",
    203: "refused by the access point",
}


class Joining:
    """wlan and the others: as wifi.Wifi has them; wrong: ssids whose password was refused, which come last;
    lost: None, or what is said of the network that there was: then the radio is on.

    up: True once there is an address, of the network `ssid`; trouble: why not, for people; state: one of the words
    drawn above."""

    def __init__(self, wlan, networks, clock, random, say, run, wrong, lost):
        self._wlan = wlan
        self._networks = networks
        self._clock = clock
        self._random = random
        self._say = say
        self._run = run or (lambda call: call())
        self._wrong = wrong
        self._rest = _RETRY_FIRST
        self._pause = 0
        self._rounds = 0
        self._since = 0
        self._left = []  # networks not tried yet in this round
        self._network = None
        self._seen = None  # what the scan found
        self.up = False
        self._powered = lost is not None
        self.trouble = lost or "joining"
        self._enter("resting")  # tick() begins, and knows what to do where that fails

    @property
    def ssid(self):
        return self._network["ssid"]

    def tick(self):
        """To be called often; returns at once, or after run() where that blocks."""
        try:
            self._step(self.state, self._clock.uptime() - self._since)
        except (OSError, RuntimeError) as error:
            self._give_up("the radio fails: %s" % error)

    def _step(self, state, passed):
        """passed: ms in this state."""
        if state == "resting":
            if passed >= self._pause:
                self._begin()
        elif state == "scan":
            if self._seen is not None or passed >= _SCAN:
                self._left = self._order(self._seen or [])
                self._next()
        elif state == "settle":
            if passed >= _SETTLE:
                self._wlan.connect(self.ssid, self._network.get("password") or None)
                self._enter("associate")
        elif state == "associate" or state == "address":
            self._join(state, passed)

    def _join(self, state, passed):
        """In the states associate and address."""
        why = self._failed()
        if has_address(self._wlan):
            self._arrive()
        elif why:
            self._fail(why)
        elif state == "address":
            if passed >= _ADDRESS:
                self._fail("no address by DHCP")
        elif self._associated():
            self._enter("address")
        elif passed >= _ASSOCIATE:
            self._fail("no answer")

    # -- between them

    def _enter(self, state):
        self.state = state
        self._since = self._clock.uptime()

    def _begin(self):
        """What keeps the radio off is the trouble, not that nothing works without it."""
        if self._powered or self._power(True):
            self._look()
        else:
            self._give_up(self.trouble)

    def _look(self):
        """Scan, where there is something to choose from."""
        if not self._networks:
            self.trouble = "no network is known"
            self._pause = _RETRY_LAST
            self._enter("resting")
        elif len(self._networks) == 1:
            self._left = list(self._networks)
            self._next()
        else:
            self._seen = None
            self._enter("scan")
            self._run(self._scan_now)

    def _scan_now(self):
        """In a thread, perhaps: it leaves its find and touches nothing else."""
        try:
            self._seen = self._wlan.scan()
        except (OSError, RuntimeError):
            self._seen = []

    def _order(self, seen):
        """The strongest first; then what was not seen, for a scan misses hidden networks and some others."""
        strength = {}
        for found in seen:
            name = bytes(found[0])
            strength[name] = max(found[3], strength.get(name, -999))

        def weight(index):  # the index too: MicroPython's sorted is not stable
            ssid = self._networks[index]["ssid"]
            return ssid in self._wrong, -strength.get(ssid.encode(), -1000), index

        return [self._networks[index] for index in sorted(range(len(self._networks)), key=weight)]

    def _next(self):
        self._network = self._left.pop(0)
        try:
            self._wlan.disconnect()
        except (OSError, RuntimeError):
            pass  # it was not connected
        self._enter("settle")

    def _fail(self, why):
        if why == _WRONG_PASSWORD:
            self._wrong.add(self.ssid)
        self.trouble = "%s: %s" % (self.ssid, why)
        self._say("wifi %s" % self.trouble)
        if self._left:
            self._next()
        else:
            self._give_up(self.trouble)

    def _give_up(self, why):
        self.up = False
        self.trouble = why
        self._rounds += 1
        self._pause = int(self._rest * (0.5 + self._random() / 2))
        self._rest = min(self._rest * 2, _RETRY_LAST)
        self._enter("resting")
        if self._rounds % _RESTART_AFTER == 0:
            self._power(False)
            self._power(True)

    def _arrive(self):
        self.up = True
        self.trouble = None
        self._wrong.discard(self.ssid)
        self._enter("up")
        self._say("wifi %s %s" % (self.ssid, self._wlan.ifconfig()[0]))

    def _power(self, on):
        """Whether it is on; trouble says why it should be and is not."""
        self._powered = False
        try:
            self._wlan.active(on)
            self._powered = on
            if on:
                self._wlan.config(reconnects=0)
        except (OSError, RuntimeError, ValueError) as error:
            self.trouble = "the radio fails: %s" % error
        return self._powered

    def _failed(self):
        """Why, or None while it goes on."""
        status = self._wlan.status()
        if status in (_IDLE, _CONNECTING, _GOT_IP):
            return None
        return _REASONS.get(status, "reason %s" % status)

    def _associated(self):
        """The access point's strength is known as soon as it is ours, before DHCP."""
        try:
            self._wlan.status("rssi")
            return True
        except (OSError, RuntimeError, ValueError):
            return False
