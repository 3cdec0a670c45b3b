"""TimeServers: when the time servers are asked. What asks them (sntp.py) is loaded for each round."""

from .moment import let_go


class TimeServers:
    """network, clock and the others: as sntp.Sntp has them."""

    def __init__(self, network, clock, *others):
        self._clock = clock
        self._given = (network, clock) + others  # noqa: RUF005 - MicroPython has no other way
        self._network = network
        self._round = self._memory = None
        self._next = clock.uptime()

    def tick(self):
        """To be called often; returns at once."""
        if self._round is None:
            if self._clock.uptime() < self._next or not self._network.up():
                return
            from .sntp import Sntp

            self._round = Sntp(*self._given, memory=self._memory)
        self._round.tick()
        if self._round.next > self._clock.uptime():
            self._next, self._memory = self._round.next, self._round.memory
            self._round = None
            let_go("sntp", "resolver")
