"""A network, its one stream and a clock in one: what the broker says is given, and waiting takes no real time."""

CONNACK = b"\x20\x02\0\0"


class Line:
    """said: bytes from the broker that are not read yet; heard: bytes that came to it; at_once: bytes that one send
    takes. longest: the most ms in which on_wait was not called. limit: ms after which somebody waits for ever."""

    trouble = "no network"
    up_since = failures = 0
    socket = None
    host, port, user, password, keepalive, tls = "broker.example", 1883, "fridge", "cold-secret", 30, None

    def __init__(self, on_message):
        from thermograph.link import Link  # needs umqtt, which tests/firmware/conftest.py looks for

        self.ms = self.longest = self._waited = 0
        self.limit = 1 << 60
        self.said = self.flood = self.heard = b""
        self.at_once = 4096
        self.link = Link(self, self, self, "fridge-1", self.on_wait, on_message, 5000)

    def connect(self):
        self.said = CONNACK
        self.link.connect()
        self.heard = b""

    def on_wait(self):
        self.longest = max(self.longest, self.ms - self._waited)
        self.ms += 1  # time goes on for who is always busy
        self._waited = self.ms
        return 1000

    def uptime(self):
        assert self.ms < self.limit, "waits for ever"
        return self.ms

    def now(self):
        return self.ms, "none"

    def up(self):
        return True

    def pause(self, ms, socket=None):
        self.ms += ms

    @property
    def names(self):
        return self

    def address(self, host):
        return "192.0.2.1"

    def forget(self, host):
        pass

    def stream(self, ip, port):
        return self

    def send(self, view):
        data = bytes(view[: self.at_once])
        self.heard += data
        return len(data)

    def recv(self, size):
        self.said = self.said or self.flood
        data, self.said = self.said[:size], self.said[size:]
        return data or None

    def wait(self, writing, ms):
        if not writing and not self.said:
            self.ms += max(1, ms)
        return writing or len(self.said) > 0

    def close(self):
        pass
