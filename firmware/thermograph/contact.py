"""Contact: the connection, settings and commands from afar, health. All that safe mode does; a Node does more."""

from . import VERSION, reading
from .errors import LinkError
from .moment import let_go

_RETRY_FIRST, _RETRY_LAST = 1000, 60000  # ms between two attempts to connect
_ACK_WAIT = 300  # ms after subscribing in which retained messages come; without them too much is sent, nothing lost
_IDLE = 100  # ms
_GOODBYE = 2000  # ms
_TRIAL = 600000  # ms in which new settings must connect
_CALM = 600000  # ms without a crash, after which one is not in a row with those before
_QUIET = 6 * 3600000  # ms of safe mode, then the rest is tried again
_LAST_CHANCE = 4  # crashes in a row that are remembered then
_TEXT = 120  # characters of one text in state


class Contact:
    """board: see README.md, "A new board"; link(on_wait, on_message) builds the Link; store, log: what kept.py
    keeps of settings and crashes; outbox: its numbers are told; None if even that is broken."""

    safe = True

    def __init__(self, settings, board, clock, outbox, link, store, log):
        self._settings = settings
        self._board = board
        self._clock = clock
        self._outbox = outbox
        self._store = store
        self._log = log
        self._link = link(self.tick, self._on_message)
        self._topic = "thermograph/v1/%s/" % settings.device
        self._link.set_last_will((self._topic + "status").encode(), b"offline", retain=True, qos=1)
        self._idle = getattr(board, "idle", _IDLE)
        self._started = self._state_at = self._retry_at = self._contact_at = clock.uptime()
        self._retry = _RETRY_FIRST
        self._failure = self._command = self._restart = None

    def run(self):
        """Until KeyboardInterrupt, or a restart."""
        self._greet()
        try:
            while True:
                self.step()
        finally:
            self.close()

    def step(self):
        """One turn of the loop: a wait of at most _IDLE ms, or one message."""
        spare = min(self.tick(), self._idle)
        try:
            if self._link.connected:
                self._serve(spare)
            elif (self._clock.uptime() >= self._retry_at or self._link.network_is_new()) and self.wants_link():
                self._connect()
            else:
                self._board.pause(spare)
        except LinkError as error:
            self._lose(error)
        self._look_after()

    def close(self):
        """Say goodbye if there is somebody to hear it; the last will speaks otherwise."""
        self._link.timeout = _GOODBYE
        try:
            if self._link.connected:
                self._publish("status", b"offline", retain=True)
                self._link.disconnect()
        except LinkError:
            pass

    def restart(self, why):
        """At the end of this turn."""
        self._restart = why

    # -- what a Node does otherwise

    def tick(self):
        """Called often, by the Link too while it waits; the ms until it has something to do."""
        self._board.watch()
        self._board.feed()
        return self._idle

    def wants_link(self):
        """Whether there is something to be done with a connection."""
        return True

    def sample_now(self):
        """An extra round; False if there can be none."""
        return False

    def _greet(self):
        self._say("safe mode after %d crashes: no sensors" % self._log.in_a_row)

    def _serve(self, spare):
        self._tell_state()
        self._link.listen(spare)

    def _on_ack(self, payload):
        pass

    def _apply(self, settings):
        """Settings that need no restart. The broker is the same, and its authority's text was let go already."""
        settings.broker = self._settings.broker
        self._board.settings = self._settings = settings

    def _health(self):
        """What state holds besides the settings and the Outbox."""
        health = self._board.health()
        health["uptime"] = self._clock.uptime() // 1000
        more = {"command": self._command, "link": self._failure}
        if self.safe:
            more["safe"] = True
        if self._store.error:
            more["settings_error"] = self._store.error
            more["refused"] = self._store.refused
        if self._log.newest:
            more["crash"] = self._log.newest["text"]
            more["crash_t"] = self._log.newest["t"]
            more["crashes"] = self._log.in_a_row
        for name, value in more.items():
            if value is not None:
                health[name] = value[:_TEXT] if isinstance(value, str) else value
        return health

    # -- the connection

    def _connect(self):
        self._link.connect()
        for leaf in ("ack", "settings", "command"):
            self._link.subscribe(self._topic + leaf)
        self._publish("status", b"online", retain=True)
        self._say("connected to %s:%d" % (self._settings.broker.host, self._settings.broker.port))
        self._retry = _RETRY_FIRST
        self._state_at = self._contact_at = self._clock.uptime()
        if self._store.on_trial:
            self._store.do("confirm")
            self._say("settings %d do connect" % self._settings.revision)
        self._link.listen(_ACK_WAIT)

    def _lose(self, error):
        self._link.drop()
        self._failure = str(error)
        if error.step == "wifi":
            self._retry = _RETRY_FIRST  # Wi-Fi has a backoff of its own, and asking it costs nothing
        self._say("link lost: %s; again in %d ms" % (error, self._back_off()))

    def _back_off(self):
        delay = int(self._retry * (0.5 + self._board.random()))
        self._retry = min(self._retry * 2, _RETRY_LAST)
        self._link.failed_at = self._clock.uptime()
        self._retry_at = self._clock.uptime() + delay
        return delay

    def _publish(self, leaf, payload, retain=False):
        self._link.publish(self._topic + leaf, payload, retain, 1)

    def _tell_state(self):
        now = self._clock.uptime()
        if now < self._state_at:
            return
        self._state_at = now + int(self._settings.state_every * 1000)
        outbox, health, revision = self._outbox, self._health(), self._settings.revision
        if outbox is None:
            state = reading.state(None, None, VERSION, health, None, revision)
        else:
            held = {"depth": outbox.depth, "capacity": outbox.capacity}
            state = reading.state(outbox.stream, outbox.last, VERSION, health, held, revision)
        self._publish("state", state, retain=True)

    # -- what comes

    def _on_message(self, topic, payload):
        leaf = topic[len(self._topic) :] if topic.startswith(self._topic.encode()) else None
        try:
            if leaf == b"ack":
                self._on_ack(payload)
            elif leaf == b"settings" and payload:
                self._on_settings(payload)
            elif leaf == b"command" and payload:
                self._on_command(payload)
        except OSError as error:
            self._say("ignored: %s that cannot be kept: %s" % (str(leaf, "utf-8"), error))

    def _on_command(self, payload):
        from . import commands

        try:
            done, text = commands.run(payload, self, self._board)
        finally:
            commands = None
            let_go("commands", "boards.files")
        self._command = done or self._command
        self._state_at = self._clock.uptime()
        self._say(text)

    def _on_settings(self, payload):
        changed = self._store.do("offer", payload)
        if changed is None:
            return
        self._state_at = self._clock.uptime()
        if not changed:
            self._say("settings refused: %s" % self._store.error)
            return
        self._say("settings %d: %s" % (self._store.settings.revision, ", ".join(changed)))
        if self.safe or not self._store.live:
            self.restart("settings")
        else:
            self._apply(self._store.settings)

    # -- never stuck

    def _look_after(self):
        """New settings that do not connect, a link that never comes, safe mode that has been quiet: start again."""
        now = self._clock.uptime()
        if self._link.connected or not self.wants_link():
            self._contact_at = now
        if self._log.in_a_row and not self.safe and now - self._started >= _CALM:
            self._log.do("calm")
        if self._store.on_trial and now - self._started >= _TRIAL:
            self._store.do("roll_back", "not connected in %d s" % (_TRIAL // 1000))
            self.restart("settings rolled back")
        if self._board.setup_wanted():
            self._link.drop()
            if self._board.setup(self.tick):
                self.restart("set up")
        if self._restart is not None:
            if self.safe:
                self._log.do("calm")
            self._restart_now(self._restart)
        limit = self._settings.restart_after * 1000
        if limit and now - self._contact_at >= limit and self._clock.now()[1] != "none":
            self._restart_now("no broker for %d s" % (limit // 1000))  # without a clock it would end what dates others
        why = getattr(self._board, "must_restart", None)
        if why:
            self._restart_now(why)
        if self.safe and now - self._started >= _QUIET:
            self._log.do("calm", _LAST_CHANCE)
            self._restart_now("safe mode was quiet")

    def _restart_now(self, why):
        self._say("restart: %s" % why)
        self.close()
        self._board.restart()

    def _say(self, text):
        self._board.say("%s %s" % (self._clock.text(), text))
