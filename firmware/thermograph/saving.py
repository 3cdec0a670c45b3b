"""SavingNode: a Node on a battery, whose radio is on only to send."""

from .node import Node


class SavingNode(Node):
    """A board that can sleep asks it for rest() and memory(), and gives restore() what it remembered."""

    def __init__(self, *args):
        self._told = False  # whether the broker has had a state of this start
        Node.__init__(self, *args)

    def wants_link(self):
        """If the send policy wants to send, an ack is awaited, or there is news."""
        if not self._told or self._store.on_trial:
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
        if self._log.in_a_row:
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

    def _serve(self, spare):
        Node._serve(self, spare)
        self._told = True

    def _unheard(self):
        self._hang_up(self._back_off())

    def _nothing_to_send(self, spare):
        if self.wants_link():
            self._link.listen(spare)
        else:
            self._hang_up(0)

    def _hang_up(self, pause):
        """The battery is for sampling."""
        self.close()
        self._link.drop()
        self._link.timeout = int(self._settings.broker.timeout * 1000)
        self._say("radio off" if not pause else "radio off: no ack; again in %d ms" % pause)
