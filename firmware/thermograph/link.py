"""Link: umqtt.simple with a deadline on every wait, and one error.

umqtt 1.3.4 and micropython-lib's 1.8 both read and write through `self.sock` only. Link gives them a Packets
object there: it sends one packet per write, takes in one whole packet of bounded size at a time, and lets nothing
wait beyond the deadline. That mends what DESIGN section 6 lists without a copy of umqtt. MQTT 3.1.1 (OASIS).
"""

import errno
import select
import struct

from umqtt.simple import MQTTClient, MQTTException

from .errors import LinkError

_PACKET_LIMIT = 2048  # bytes in one packet, either way: telemetry is about 1 KiB, an ack 60 bytes
_SLICE = 100  # ms of one wait, at most, between two calls of on_wait
_CONNECT, _CONNACK, _PUBLISH, _PINGRESP = 0x10, 0x20, 0x30, 0xD0
_REFUSALS = ("protocol version", "client identifier", "server unavailable", "user name or password", "not authorized")
_WRONG = (OSError, AssertionError, IndexError, TypeError, ValueError, AttributeError, MQTTException)


class Link(MQTTClient):
    """One connection to the broker. Every method but drop raises LinkError, and nothing of umqtt's, within
    `timeout` ms, and then has dropped the connection.

    network: `resolve(host, port)` gives an address, `socket()` a TCP socket with connect, send, recv, setblocking
    and close; clock: its uptime; on_wait(): called while waiting, does what is due elsewhere and returns the ms it
    can spare; on_message(topic, payload): one incoming message. Errors of these two pass through.
    """

    def __init__(self, network, clock, broker, device, on_wait, on_message, timeout=10000):
        MQTTClient.__init__(
            self, device.encode(), broker.host, broker.port, _bytes(broker.user), _bytes(broker.password),
            broker.keepalive,
        )
        self._network = network
        self._clock = clock
        self._on_wait = on_wait
        self.timeout = timeout
        self._pinged = None
        self.set_callback(on_message)

    @property
    def connected(self):
        return self.sock is not None

    def connect(self, clean_session=True, timeout=None):
        """Open the connection and sign in."""
        self.drop()
        try:
            address = self._network.resolve(self.server, self.port)
            raw = self._network.socket()
        except _WRONG as error:
            raise LinkError("no way to %s: %s" % (self.server, error))
        self.sock = Packets(raw, self._clock, self._on_wait)
        self._pinged = None
        self._within(self._sign_in, address, clean_session)

    def publish(self, topic, msg, retain=False, qos=0):
        """Send a message; at QoS 1, return when the broker has it."""
        self._within(MQTTClient.publish, self, topic.encode(), msg, retain, qos)

    def subscribe(self, topic, qos=0):
        self._within(MQTTClient.subscribe, self, topic.encode(), qos)

    def listen(self, ms):
        """Wait up to ms for a packet and handle it; keep the connection alive. True if there was one."""
        return self._within(self._listen, ms)

    def wait_msg(self):
        """umqtt's publish and subscribe wait here too: nothing is parsed before all of it is in."""
        self.sock.take()
        return MQTTClient.wait_msg(self)

    def disconnect(self):
        """Sign out: the broker then does not publish the last will."""
        self._within(MQTTClient.disconnect, self)
        self.sock = None

    def drop(self):
        """Forget the connection, whatever its state."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def _within(self, call, *args):
        if self.sock is None:
            raise LinkError("not connected")
        self.sock.deadline = self._clock.uptime() + self.timeout
        if self.pid >= 65535:
            self.pid = 0  # umqtt would go on to 65536, which does not fit; 0 is no packet id
        try:
            return call(*args)
        except LinkError:
            self.drop()
            raise
        except _WRONG as error:
            self._fail("%s: %s" % (type(error).__name__, error))

    def _fail(self, text):
        self.drop()
        raise LinkError(text)

    def _listen(self, ms):
        self._keep_alive()
        if not self.sock.wait(select.POLLIN, ms):
            return False
        operation = self.wait_msg()
        if operation is not None and operation & 0xF0 != _PUBLISH:  # umqtt 1.8 returns a message's, 1.3.4 does not
            raise LinkError("packet 0x%02x out of turn" % operation)
        return True

    def _sign_in(self, address, clean_session):
        self.sock.open(address)
        self.sock.write(self._connect_packet(clean_session))
        self.sock.take()
        reply = self.sock.read(4)
        if reply[0] != _CONNACK or reply[1] != 2:
            raise LinkError("the broker's first words are no CONNACK")
        if reply[3]:
            reason = _REFUSALS[reply[3] - 1] if reply[3] <= len(_REFUSALS) else "code %d" % reply[3]
            raise LinkError("the broker refuses: %s" % reason)

    def _connect_packet(self, clean_session):
        """Section 3.1; not umqtt's, which would open a blocking socket before it."""
        flags = 2 if clean_session else 0
        fields = [self.client_id]
        if self.lw_topic:
            flags |= 4 | self.lw_qos << 3 | (32 if self.lw_retain else 0)
            fields += [self.lw_topic, self.lw_msg]
        if self.user is not None:
            flags |= 0xC0
            fields += [self.user, self.pswd]
        body = b"\0\x04MQTT\x04" + struct.pack("!BH", flags, self.keepalive)
        for field in fields:
            body += struct.pack("!H", len(field)) + field
        size = len(body)
        head = bytes((_CONNECT, size)) if size < 128 else bytes((_CONNECT, size & 127 | 128, size >> 7))
        return head + body

    def _keep_alive(self):
        """Section 3.1.2.10. A ping goes out when either side was silent for half the keepalive; a ping that is not
        answered tells a half-open connection."""
        now = self._clock.uptime()
        if self.sock.pong:
            self._pinged, self.sock.pong = None, False
        if self._pinged is not None and now - self._pinged > self.timeout:
            raise LinkError("ping not answered")
        silence = now - min(self.sock.heard, self.sock.said)
        if self._pinged is None and silence >= self.keepalive * 500:
            self._pinged = now
            self.ping()


class Packets:
    """A socket as umqtt sees it. deadline: the uptime in ms after which every wait raises LinkError.
    heard, said: uptime of the last packet in and out; pong: a PINGRESP has come."""

    def __init__(self, raw, clock, on_wait):
        self._raw = raw
        self._clock = clock
        self._on_wait = on_wait
        self._poll = select.poll()
        self._packet = b""
        self._at = 0
        self._out = bytearray(_PACKET_LIMIT)
        self._filled = 0
        self.heard = self.said = self.deadline = clock.uptime()
        self.pong = False

    def open(self, address):
        """Connect the socket."""
        self._raw.setblocking(False)
        try:
            self._raw.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        self._poll.register(self._raw, select.POLLOUT)
        self._until(select.POLLOUT)

    def setblocking(self, flag):
        """umqtt asks for a blocking socket with each packet; ours never blocks."""

    def close(self):
        self._raw.close()

    def write(self, data, size=None):
        """Collect; send as soon as a whole packet is there."""
        size = len(data) if size is None else size
        end = self._filled + size
        if end > _PACKET_LIMIT:
            raise LinkError("a packet over %d bytes to send" % _PACKET_LIMIT)
        memoryview(self._out)[self._filled : end] = data if size == len(data) else data[:size]
        self._filled = end
        if end == self._written_size():
            self._send()
        return size

    def read(self, size):
        """The next bytes of the packet that take() took in."""
        data = self._packet[self._at : self._at + size] if size >= 0 else b""
        if size < 0 or len(data) < size:
            raise LinkError("a packet shorter than it says")
        self._at += size
        return data

    def take(self):
        """Take in the next whole packet; what was left of the last is dropped."""
        if self._clock.uptime() > self.deadline:
            raise LinkError("the broker talks and does not answer")
        self._on_wait()  # a broker that floods us must not keep us from sampling
        head = self._receive(1)
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
        if size > _PACKET_LIMIT:
            raise LinkError("a packet of %d bytes" % size)
        self._packet, self._at = head + self._receive(size), 0
        self.heard = self._clock.uptime()
        self.pong = self.pong or head[0] == _PINGRESP

    def wait(self, mask, ms):
        """Wait for up to ms, not beyond the deadline; the socket's poll events, or 0."""
        self._poll.modify(self._raw, mask)
        end = min(self._clock.uptime() + ms, self.deadline)
        while True:
            spare = self._on_wait()
            left = end - self._clock.uptime()
            events = self._poll.poll(max(0, min(spare, left, _SLICE)))
            if events:
                return events[0][1]
            if left <= 0:
                return 0

    def _until(self, mask):
        events = self.wait(mask, self.deadline - self._clock.uptime())
        if not events:
            raise LinkError("the broker is silent")
        if mask == select.POLLOUT and events & (select.POLLERR | select.POLLHUP):
            raise LinkError("connection refused or lost")

    def _written_size(self):
        """The length of the packet being written, or None while its head is incomplete."""
        size = 0
        for at in range(1, min(5, self._filled)):
            size |= (self._out[at] & 127) << 7 * (at - 1)
            if self._out[at] < 128:
                return at + 1 + size
        return None

    def _send(self):
        view = memoryview(self._out)[: self._filled]
        self._filled = 0
        while len(view):
            try:
                view = view[self._raw.send(view) :]
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                self._until(select.POLLOUT)
        self.said = self._clock.uptime()

    def _receive(self, size):
        data = b""
        while len(data) < size:
            try:
                chunk = self._raw.recv(size - len(data))
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                self._until(select.POLLIN)
                continue
            if not chunk:
                raise LinkError("the broker closed the connection")
            data += chunk
        return data


def _bytes(text):
    return None if text is None else text.encode()
