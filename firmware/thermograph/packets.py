"""Packets: a stream as umqtt sees its socket. One write a packet, or as few as it takes, one whole packet of bounded
size at a time, and no wait beyond the deadline."""

from .errors import LinkError

PACKET_LIMIT = 2048  # bytes in one packet, either way: telemetry is about 1 KiB, an ack 60 bytes
_TOGETHER = 1200  # bytes that go out in one piece: telemetry with its topic
SLICE = 100  # ms of one wait, at most, between two calls of on_wait
_PINGRESP = 0xD0


class Packets:
    """stream: send, recv, wait, close, which never block; TLS takes its place when it is there. deadline: the uptime
    in ms after which every wait raises LinkError; step: what that then names. heard, said: uptime of the last packet in
    and out; pong: a PINGRESP came."""

    def __init__(self, stream, clock, on_wait):
        self.stream = stream
        self._clock = clock
        self._on_wait = on_wait
        self._packet = b""
        self._at = 0
        self._first = b""  # of a packet whose rest is not taken yet
        self._out = bytearray(_TOGETHER)
        self._filled = 0
        self._left = None  # bytes of the packet being written that are still to come, once its head is there
        self.heard = self.said = self.deadline = clock.uptime()
        self.pong = False
        self.step = "tcp"

    def setblocking(self, flag):
        """umqtt asks for a blocking socket with each packet; ours never blocks."""

    def close(self):
        self.stream.close()

    def write(self, data, size=None):
        """Collect; send as soon as a whole packet is there, or as much as goes together."""
        size = len(data) if size is None else size
        data = memoryview(data)[:size]
        while len(data):
            count = min(len(data), _TOGETHER - self._filled)
            memoryview(self._out)[self._filled : self._filled + count] = data[:count]
            self._filled += count
            data = data[count:]
            if self._left is None:
                self._left = self._announced()
            else:
                self._left -= count
            if self._left == 0 or self._filled == _TOGETHER:
                self._send()
        return size

    def read(self, size):
        """The next bytes of the packet that take() took in."""
        data = self._packet[self._at : self._at + size] if size >= 0 else b""
        if size < 0 or len(data) < size:
            raise LinkError("a packet shorter than it says")
        self._at += size
        return data

    def comes(self, ms):
        """True as soon as a packet begins, False after ms. That a stream can be read does not say so: TLS has
        records of its own."""
        end = min(self._clock.uptime() + ms, self.deadline)
        while not self._first:
            self._first = self.stream.recv(1)
            if self._first == b"":
                raise LinkError("the broker closed the connection", self.step)
            if not self._first and not self.wait(False, end - self._clock.uptime()):
                self._first = b""
                return False
        return True

    def take(self):
        """Take in the next whole packet; what was left of the last is dropped."""
        if self._clock.uptime() > self.deadline:
            raise LinkError("the broker talks and does not answer")
        self._on_wait()  # a broker that floods us must not keep us from sampling
        head = self._first or self._receive(1)
        self._first = b""
        size = shift = 0
        while True:
            byte = self._receive(1)
            head += byte
            size |= (byte[0] & 127) << shift
            shift += 7
            if byte[0] < 128:
                break
            if shift > 21:
                raise LinkError("a packet length of over 4 bytes")
        if size > PACKET_LIMIT:
            raise LinkError("a packet of %d bytes" % size)
        self._packet, self._at = head + self._receive(size), 0
        self.heard = self._clock.uptime()
        self.pong = self.pong or head[0] == _PINGRESP

    def wait(self, writing, ms):
        """Wait for up to ms, not beyond the deadline: True if the stream may go on."""
        end = min(self._clock.uptime() + ms, self.deadline)
        while True:
            spare = self._on_wait()
            left = end - self._clock.uptime()
            if self.stream.wait(writing, max(0, min(spare, left, SLICE))):
                return True
            if left <= 0:
                return False

    def until(self, writing):
        """Wait, and raise LinkError at the deadline, also where the stream says that it may go on and does not."""
        left = self.deadline - self._clock.uptime()
        if left < 0 or not self.wait(writing, left):
            raise LinkError("the broker is silent", self.step)

    def _announced(self):
        """Bytes of the packet being written that are still to come, or None while its head is incomplete."""
        size = 0
        for at in range(1, min(5, self._filled)):
            size |= (self._out[at] & 127) << 7 * (at - 1)
            if self._out[at] < 128:
                if size > PACKET_LIMIT:
                    raise LinkError("a packet over %d bytes to send" % PACKET_LIMIT)
                return at + 1 + size - self._filled
        return None

    def _send(self):
        view = memoryview(self._out)[: self._filled]
        self._filled = 0
        if not self._left:
            self._left = None
        while len(view):
            count = self.stream.send(view)
            if count:
                view = view[count:]
            else:
                self.until(True)
        self.said = self._clock.uptime()

    def _receive(self, size):
        data = b""
        while len(data) < size:
            chunk = self.stream.recv(size - len(data))
            if chunk is None:
                self.until(False)
            elif not chunk:
                raise LinkError("the broker closed the connection", self.step)
            else:
                data += chunk
        return data
