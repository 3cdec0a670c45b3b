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
        self._told = False  # whether the broker has had a state of this start
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
        if now - self._sampled_at < schedule.interval + _OVERDUE:
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

    def wants_link(self):
        """True on mains; on a battery, if the send policy wants to send, an ack is awaited, or there is news."""
        if not self._settings.battery or not self._told:
            return True
        if self._store.on_trial:
            return True
        return self._window.unacked > 0 or self._policy.wants(self._clock.uptime(), self._window.waiting)

    def rest(self):
        """ms that it may sleep with the radio off: 0 while there is something to do."""
        now = self._clock.uptime()
        if self._sampler.busy or self._link.connected or self._restart is not None:
            return 0
        waits = [self._schedule.wait(now)]
        if self.wants_link():
            waits.append(max(0, self._retry_at - now))
        else:
            send = self._policy.wait(now, self._window.waiting)
            if send is not None:
                waits.append(send)
        return min(waits)

    def memory(self):
        """What a deep sleep must not forget; restore() takes it. JSON can write it. To be asked just before it: who
        comes to sleep has not crashed."""
        self._log.do("calm")
        now = self._clock.uptime()
        return {
            "freed": self._outbox.freed,
            "policy": self._policy.memory(now),
            "told": self._told,
            "sample_in": self._schedule.wait(now),
            "retry": self._retry,
            "retry_in": max(0, self._retry_at - now),
        }

    def restore(self, memory, slept=0):
        """memory: of before the sleep of so many ms."""
        now = self._clock.uptime()
        if self._outbox.freed < memory["freed"] <= self._outbox.last:
            self._outbox.free(memory["freed"])
            self._window.sent = memory["freed"]
        self._window.resumed = True
        self._policy.restore(now - slept, memory["policy"])
        self._schedule.resume(now + memory["sample_in"] - slept)
        self._retry, self._retry_at = memory["retry"], now + memory["retry_in"] - slept
        self._told = memory["told"]

    def _greet(self):
        outbox = self._outbox
        self._say(
            "boot %d stream %s holds %d to %d, freed to %d"
            % (outbox.boot, outbox.stream, outbox.first, outbox.last, outbox.freed)
        )

    def _serve(self, spare):
        self._tell_state()
        self._told = True
        now = self._clock.uptime()
        window = self._window
        if window.stuck(now):
            self._policy.insist()
            if self._settings.battery:
                return self._hang_up(self._back_off())
        message = None
        if self._policy.wants(now, window.waiting):
            message, last = window.next_message(now)
        if message is not None:
            self._publish("telemetry", message)
            window.took(last, now)
            if not window.waiting:
                self._policy.done()
        elif self.wants_link():
            self._link.listen(spare)
        else:
            self._hang_up(0)

    def _hang_up(self, pause):
        """The battery is for sampling."""
        self.close()
        self._link.drop()
        self._link.timeout = int(self._settings.broker.timeout * 1000)
        self._say("radio off" if not pause else "radio off: no ack; again in %d ms" % pause)

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
