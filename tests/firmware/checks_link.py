"""One Link against one server; prints what it saw as JSON. Usage, on both interpreters:

    run_link.py FIRMWARE PORT SCENARIO, where SCENARIO is a function here.

The servers are in test_link.py. Each scenario ends by itself: that is what is being tested.
"""

import json

from thermograph.boards.unix import Network, port
from thermograph.clock import Clock
from thermograph.errors import LinkError

port.install()
TIMEOUT = 700  # ms


class Watch:
    """Counts how often the Link let others work, and the longest time (ms) it did not."""

    def __init__(self, clock):
        self._clock = clock
        self.calls = 0
        self.longest = 0
        self._last = clock.uptime()

    def __call__(self):
        now = self._clock.uptime()
        self.calls += 1
        self.longest = max(self.longest, now - self._last)
        self._last = now
        return 1000


class Broker:
    def __init__(self, port, password="cold-secret", keepalive=2):
        self.host, self.port, self.user, self.password, self.keepalive = (
            "127.0.0.1",
            port,
            "fridge",
            password,
            keepalive,
        )


def trial(port_number, scenario):
    """{error, ms, calls, longest, messages}: how it went."""
    from thermograph.link import Link

    clock = Clock(port.Time, "ntp")
    watch = Watch(clock)
    messages = []

    def on_message(topic, payload):
        if len(messages) < 120:  # a flood is not to be kept
            messages.append([str(topic, "utf-8"), len(payload)])

    password = "wrong" if scenario is wrong_password else "cold-secret"
    link = Link(Network(), clock, Broker(port_number, password), "fridge-1", watch, on_message, TIMEOUT)
    link.set_last_will(b"thermograph/v1/fridge-1/status", b"offline", retain=True, qos=1)
    times = [clock.uptime()]
    error = None
    try:
        scenario(link, times, clock)
    except LinkError as caught:
        error = str(caught)
    return {
        "error": error,
        "ms": clock.uptime() - times[-1],
        "calls": watch.calls,
        "longest": watch.longest,
        "messages": messages,
        "connected": link.connected,
        "pid": link.pid,
    }


def connect(link, times, clock):
    link.connect()


def wrong_password(link, times, clock):
    link.connect()


def publish(link, times, clock):
    link.connect()
    times.append(clock.uptime())
    link.publish("thermograph/v1/fridge-1/telemetry", b"x" * 1000, qos=1)


def subscribe(link, times, clock):
    link.connect()
    times.append(clock.uptime())
    link.subscribe("thermograph/v1/fridge-1/ack")


def listen(link, times, clock):
    """Idle for 3 s: longer than the keepalive of 2 s, and than half of it plus the timeout."""
    link.connect()
    times.append(clock.uptime())
    while clock.uptime() - times[-1] < 3000:
        link.listen(50)


def echo(link, times, clock):
    """Publish over the packet id's end, hear oneself, sign out."""
    link.connect()
    link.subscribe("thermograph/v1/fridge-1/ack")
    link.pid = 65530
    for size in range(20):
        link.publish("thermograph/v1/fridge-1/ack", b"x" * (size * 60), qos=1)
    while link.listen(200):
        pass
    link.disconnect()


def too_big(link, times, clock):
    link.connect()
    link.publish("thermograph/v1/fridge-1/telemetry", b"x" * 5000, qos=1)


def run(port_number, name):
    print(json.dumps(trial(port_number, globals()[name])))
