"""Node: sample, keep, send, free. It knows no board: all it needs is handed to it."""

from . import reading
from .contact import Contact
from .errors import FlashError
from .sampling import Sampler
from .schedule import Schedule
from .sending import Policy, Window

_OVERDUE = 60000  # ms beyond an interval without a finished round, after which the watchdog is not fed


class Node(Contact):
    """sensors: drivers with channels, start() and read(); board, link, store, log: as Contact has them."""

    safe = False

    def __init__(self, settings, board, clock, outbox, sensors, link, store, log):
        start = clock.uptime()
        self._schedule = Schedule(_ms(settings.interval), clock)
        self._sampler = Sampler(sensors, clock, self._keep, self._on_driver)
        self._sampler.oversample = settings.oversample
        self._policy = Policy(settings.send, start)
        self._window = Window(outbox, int(settings.patience * 1000), start, self._say)
        self._sampled_at = start
        self._lost = 0
        Contact.__init__(self, settings, board, clock, outbox, link, store, log)

    # -- sampling

    def tick(self):
        """Sample if it is time; the ms until there is something to do again. The Link calls this while it waits."""
        board, schedule = self._board, self._schedule
        board.watch()
        now = self._clock.uptime()
        if schedule.due(now):
            self._sample()
        spare = None
        if self._sampler.busy:
            spare = self._sampler.step(now)
            now = self._clock.uptime()
            if spare is None:
                self._sampled_at = now
        if now - self._sampled_at < schedule.interval * 3 // 2 + _OVERDUE:  # 1.5: where a clock was just set
            board.feed()
        wait = schedule.wait(now)
        return wait if spare is None else min(wait, spare)

    def sample_now(self):
        if self._sampler.busy:
            return False
        self._sampler.begin()
        return True

    def _sample(self):
        if self._sampler.busy:
            self._schedule.missed += 1  # the sensors need longer than the interval
        else:
            self._sampler.begin()

    def _keep(self, kept):
        waiting = self._window.waiting
        try:
            seq = self._outbox.append(kept)
        except FlashError as error:
            self._lost += 1
            self._say("lost %s %s: %s" % (kept.sensor, kept.unit, error))
            return
        self._policy.note(self._clock.uptime(), waiting, kept)
        shown = reading.shortest(kept.value) if kept.fault is None else "fault:" + kept.fault
        self._say("sample %s %s %s seq %d" % (kept.sensor, shown, kept.unit, seq))

    def _on_driver(self, error):
        from .crashlog import describe

        text = describe(error)
        self._say("sensor: %s" % text)
        self._log.do("note", text)

    # -- sending

    def _greet(self):
        outbox = self._outbox
        self._say(
            "boot %d stream %s holds %d to %d, freed to %d"
            % (outbox.boot, outbox.stream, outbox.first, outbox.last, outbox.freed)
        )

    def _serve(self, spare):
        self._tell_state()
        now = self._clock.uptime()
        window = self._window
        if window.stuck(now):
            self._policy.insist()
            self._unheard()
            if not self._link.connected:
                return
        message = None
        if self._policy.wants(now, window.waiting):
            message, last = window.next_message(now)
        if message is not None:
            self._publish("telemetry", message)
            window.took(last, now)
            if not window.waiting:
                self._policy.done()
        else:
            self._nothing_to_send(spare)

    def _unheard(self):
        """What was sent is not acknowledged."""

    def _nothing_to_send(self, spare):
        self._link.listen(spare)

    def _health(self):
        health = Contact._health(self)
        for name, value in (("missed", self._schedule.missed), ("lost", self._lost)):
            if value:
                health[name] = value
        return health

    def _apply(self, settings):
        Contact._apply(self, settings)
        interval = _ms(settings.interval)
        if interval != self._schedule.interval:
            self._schedule.set_interval(interval)
            self._sampled_at = self._clock.uptime()
        self._sampler.oversample = settings.oversample
        self._policy.send = settings.send
        self._window.patience = int(settings.patience * 1000)

    # -- freeing

    def _on_ack(self, payload):
        outbox = self._outbox
        ack = reading.ack(payload)
        if ack is None:
            self._say("ignored: an ack that is none")
        elif ack[0] != outbox.stream:
            self._say("ignored: an ack of stream %s" % ack[0])
        elif ack[1] > outbox.last:
            self._say("ignored: an ack of seq %d, newest is %d" % (ack[1], outbox.last))
        elif ack[1] != outbox.freed:
            if ack[1] < outbox.freed:
                self._policy.insist()
            self._window.acked(ack[1], self._clock.uptime())


def _ms(seconds):
    return max(1, int(seconds * 1000))
