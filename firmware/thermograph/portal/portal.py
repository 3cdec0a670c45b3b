"""Portal: what the set-up form does. Networks found, a form, one attempt to join, and the settings are saved."""

from ..errors import SettingsError
from ..moment import let_go
from .server import Server

LIMIT = 600000  # ms that the portal is open
_GOODBYE = 8000  # ms for a phone to fetch the last page
_SCAN = 3000  # ms that looking for networks may take; the radio blocks all else,
_SCAN_LATE = 2000  # so it waits for a pause between two samples, but no longer than this
_PLAIN = ("network", "hidden", "host", "port", "user", "device")


class Portal:
    """name, address: the access point's; station: network.WLAN(STA_IF); known: the settings' fields, {} when blank;
    check(fields) raises SettingsError; save(fields) keeps them; token: a few random characters; on_wait(): called at
    least every 100 ms, gives the ms it can spare."""

    def __init__(self, name, address, station, clock, known, check, save, token, on_wait):
        self._name = name
        self._address = address
        self._station = station
        self._clock = clock
        self._known = known
        self._check = check
        self._save = save
        self._token = token
        self._on_wait = on_wait
        self._networks = []
        self._scan = clock.uptime()  # when it was asked for, or None
        self._values = _shown(known, name)
        self._trouble = None
        self._join = None
        self._wanted = None
        self.saved = False

    def run(self, web, names, limit=LIMIT):
        """Until the settings are saved, or limit ms are over. True if they are saved. web: a listening TCP socket;
        names: a bound UDP socket, or None."""
        address = bytes([int(part) for part in self._address.split(".")])
        server = Server(web, names, address, self._clock, self.answer)
        end = self._clock.uptime() + limit
        try:
            while self._clock.uptime() < end or self._join:
                spare = self._on_wait()
                if self._scan is not None and (spare >= _SCAN or self._clock.uptime() >= self._scan + _SCAN_LATE):
                    self._look_around()
                server.step(spare)
                if self._join and self._step_join():
                    end = self._clock.uptime() + _GOODBYE
                if self.saved == "told" and not server.busy():
                    break
        finally:
            server.close()
        return bool(self.saved)

    def answer(self, request):
        """(status, pieces, location) to one request."""
        ours = "http://%s/" % self._address
        if request.host != self._address:  # whatever a phone asks for to learn whether there is a portal: there is
            return 302, None, ours
        if request.method == "POST":
            return self._post(request.body) if request.path == "/save" else (404, None, None)
        if request.path == "/favicon.ico":
            return 404, None, None
        if request.path == "/scan":
            self._scan = self._clock.uptime()
            return 302, None, "/"
        if request.path not in ("/", "/status"):
            return 302, None, ours
        return 200, self._page(), None

    def _page(self):
        """The function that yields the page of this moment; the moment is held, for it is called twice. The module that
        writes it stays until the page was sent."""
        from . import page

        let_go("portal.page")
        if self.saved:
            self.saved = "told"
            ssid = self._wanted["networks"][0]["ssid"]
            return lambda: page.done(self._name, ssid)
        if self._join:
            ssid = self._wanted["networks"][0]["ssid"]
            return lambda: page.wait(self._name, ssid)
        networks, values, trouble = self._networks, dict(self._values), self._trouble
        return lambda: page.form(self._name, self._token, networks, values, trouble)

    def _post(self, body):
        if self._join or self.saved:
            return 302, None, "/status"
        try:
            forced = self._read(body)
            self._check(self._wanted)
        except SettingsError as error:
            self._trouble = str(error)
            return 200, self._page(), None
        self._trouble = None
        if forced:
            self._keep()
            return 200, self._page(), None
        from .join import Join

        first = self._wanted["networks"][0]
        self._join = Join(self._station, self._clock, first["ssid"], first["password"])
        Join = None
        let_go("portal.join")
        return 302, None, "/status"

    def _read(self, body):
        """Take the form's fields; whether they are to be saved unseen. SettingsError for people."""
        from . import form

        try:
            fields = form.parse(body)
            if fields.get("token") != self._token:  # a page of somebody else sent it
                raise SettingsError("This form is an old one. Please send it again.")
            self._values.update([(name, fields[name]) for name in _PLAIN if name in fields])
            self._wanted = form.check(fields, self._known)
            return fields.get("force")
        except form.FormError as error:
            raise SettingsError(str(error))
        finally:
            form = None
            let_go("portal.form")

    def _step_join(self):
        """True when the settings have just been saved."""
        outcome = self._join.step()
        if outcome is None:
            return False
        self._join = None
        if outcome:
            self._trouble = outcome
            return False
        return self._keep()

    def _keep(self):
        try:
            self._save(self._wanted)
        except (SettingsError, OSError) as error:
            self._trouble = "The settings cannot be saved: %s" % error
            return False
        self.saved = True
        return True

    def _look_around(self):
        """The networks found, best first; names that are not text are left out: they can be given by hand."""
        self._scan = None
        best = {}
        try:
            self._station.active(True)
            for found in self._station.scan():
                ssid = _name(found[0])
                if ssid and found[3] > best.get(ssid, -1000):
                    best[ssid] = found[3]
        except (OSError, RuntimeError):
            pass
        self._networks = sorted(best.items(), key=lambda one: -one[1])
        self._on_wait()


def _shown(known, name):
    """What the form shows at first; of secrets only that there are some."""
    broker = known.get("broker") or {}
    networks = known.get("networks") or []
    return {
        "network": networks[0]["ssid"] if networks else "",
        "has_password": bool(networks and networks[0].get("password")),
        "host": broker.get("host") or "",
        "port": str(broker.get("port") or 1883),
        "user": broker.get("user") or "",
        "has_secret": bool(broker.get("password")),
        "device": known.get("device") or name,
    }


def _name(ssid):
    try:
        text = str(bytes(ssid), "utf-8")
    except UnicodeError:
        return ""
    return "" if any([c < " " or c == "\x7f" for c in text]) else text
