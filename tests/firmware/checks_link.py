"""One Link against one server; prints what it saw as JSON. Usage, on both interpreters:

    run_link.py FIRMWARE PORT SCENARIO, where SCENARIO is a function here; on stdin: Options as JSON.

The servers are in test_link.py and its like. Each scenario ends by itself: that is what is being tested.
"""

import gc
import json
import os

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


class Counted(Network):
    """A network that counts the writes to its streams."""

    writes = 0

    def stream(self, ip, port):
        made = Network.stream(self, ip, port)
        send = made.send

        def count(data):
            self.writes += 1
            return send(data)

        made.send = count
        return made


class Options:
    """host: the broker's; dns: name servers; tls: {"ca", "host"}; password; quality: of the clock."""

    def __init__(self, host="127.0.0.1", dns=(), tls=None, password="cold-secret", quality="ntp"):
        self.host, self.dns, self.tls, self.password, self.quality = host, dns, tls and Tls(**tls), password, quality


class Tls:
    def __init__(self, ca, host):
        self.ca, self.host = ca, host


class Broker:
    user, keepalive = "fridge", 2

    def __init__(self, port, options):
        self.host, self.port, self.password, self.tls = options.host, port, options.password, options.tls


def trial(port_number, scenario, options):
    """{error, step, ms, calls, longest, messages, ...}: how it went."""
    from thermograph.link import Link

    clock = Clock(port.Time, options.quality)
    watch = Watch(clock)
    messages = []

    def on_message(topic, payload):
        if len(messages) < 120:  # a flood is not to be kept
            messages.append([str(topic, "utf-8"), len(payload)])

    network = Counted(clock, os.urandom, options.dns)
    link = Link(network, clock, Broker(port_number, options), "fridge-1", watch, on_message, TIMEOUT)
    link.set_last_will(b"thermograph/v1/fridge-1/status", b"offline", retain=True, qos=1)
    times = [clock.uptime()]
    error = step = None
    try:
        scenario(link, times, clock)
    except LinkError as caught:
        error, step = str(caught), caught.step
    return {
        "error": error,
        "step": step,
        "ms": clock.uptime() - times[-1],
        "calls": watch.calls,
        "longest": watch.longest,
        "messages": messages,
        "connected": link.connected,
        "pid": link.pid,
        "writes": network.writes,
    }


def connect(link, times, clock):
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


def again(link, times, clock):
    """Connect, and once more: the second time may use what was learnt at the first."""
    link.connect()
    link.drop()
    times.append(clock.uptime())
    link.connect()


def churn(link, times, clock):
    """Forty connections one after the other; a message each: [memory of the process in pages, free heap] as topic and
    size of a message in what is seen, after the tenth and after the last."""
    for turn in range(40):
        link.connect()
        link.subscribe("thermograph/v1/fridge-1/ack")
        link.drop()
        if turn in (9, 39):
            gc.collect()
            with open("/proc/self/statm") as file:
                pages = file.read().split()[1]
            free = gc.mem_free() if hasattr(gc, "mem_free") else 0
            link.cb(pages.encode(), bytes(free // 1024))


def run(port_number, name, options):
    print(json.dumps(trial(port_number, globals()[name], Options(**json.loads(options)))))
