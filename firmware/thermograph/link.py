"""Link: umqtt.simple with a deadline on every wait, and one error that names the step which failed.

    wifi ──> dns ──> tcp ──> tls ──> mqtt: sign in ──> mqtt: publish, subscribe, listen

umqtt 1.3.4 and micropython-lib's 1.8 both read and write through `self.sock` only. Link gives them a Packets
object there: it sends one packet per write, takes in one whole packet of bounded size at a time, and lets nothing
wait beyond the deadline. That mends what DESIGN section 6 lists without a copy of umqtt. MQTT 3.1.1 (OASIS).
"""

import struct

from umqtt.simple import MQTTClient, MQTTException

from .errors import LinkError
from .packets import SLICE, Packets

_CONNECT, _CONNACK, _PUBLISH = 0x10, 0x20, 0x30
_REFUSALS = ("protocol version", "client identifier", "server unavailable", "user name or password", "not authorized")
_WRONG = (OSError, AssertionError, IndexError, TypeError, ValueError, AttributeError, MQTTException)


class Link(MQTTClient):
    """One connection to the broker. Every method but drop raises LinkError, and nothing of umqtt's, within
    `timeout` ms, and then has dropped the connection; connect takes that long for each of its steps at most.

    network: a boards.sockets.Sockets or its like; clock: its uptime, and whether it is set; broker: host, port, user,
    password, keepalive, and tls, None or an object with ca and host; on_wait(): called while waiting, does what is
    due elsewhere and returns the ms it can spare; on_message(topic, payload): one incoming message. Errors of these
    two pass through.
    """

    def __init__(self, network, clock, broker, device, on_wait, on_message, timeout=10000):
        MQTTClient.__init__(
            self,
            device.encode(),
            broker.host,
            broker.port,
            _bytes(broker.user),
            _bytes(broker.password),
            broker.keepalive,
        )
        self._network = network
        self._clock = clock
        self._tls = getattr(broker, "tls", None)
        self._on_wait = on_wait
        self.timeout = timeout
        self._step = "mqtt"
        self._deadline = 0
        self._pinged = None
        self.set_callback(on_message)

    @property
    def connected(self):
        return self.sock is not None

    def connect(self, clean_session=True, timeout=None):
        """Open the connection and sign in."""
        self.drop()
        self._pinged = None
        packet = self._connect_packet(clean_session)
        self._within("wifi", self._join)
        ip = self._within("dns", self._resolve)
        self._within("tcp", self._open, ip)
        if self._tls:
            self._within("tls", self._secure, packet)
        else:
            self._within("mqtt", self.sock.write, packet)
        self._within("mqtt", self._sign_in)

    def publish(self, topic, msg, retain=False, qos=0):
        """Send a message; at QoS 1, return when the broker has it."""
        self._online(MQTTClient.publish, self, topic.encode(), msg, retain, qos)

    def subscribe(self, topic, qos=0):
        self._online(MQTTClient.subscribe, self, topic.encode(), qos)

    def listen(self, ms):
        """Wait up to ms for a packet and handle it; keep the connection alive. True if there was one."""
        return self._online(self._listen, ms)

    def wait_msg(self):
        """umqtt's publish and subscribe wait here too: nothing is parsed before all of it is in."""
        self.sock.take()
        return MQTTClient.wait_msg(self)

    def disconnect(self):
        """Sign out: the broker then does not publish the last will."""
        self._online(MQTTClient.disconnect, self)
        self.sock = None

    def drop(self):
        """Forget the connection, whatever its state."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def _online(self, call, *args):
        if self.sock is None:
            raise LinkError("not connected")
        if self.pid >= 65535:
            self.pid = 0  # umqtt would go on to 65536, which does not fit; 0 is no packet id
        return self._within("mqtt", call, *args)

    def _within(self, step, call, *args):
        """What the call returns, or a LinkError that names this step, once the connection is dropped."""
        self._deadline = self._clock.uptime() + self.timeout
        if self.sock is not None:
            self.sock.deadline, self.sock.step = self._deadline, step
        try:
            return call(*args)
        except LinkError:
            self.drop()
            raise
        except _WRONG as error:
            self.drop()
            raise LinkError("%s: %s" % (type(error).__name__, error), step)

    # -- the steps of connect

    def _join(self):
        while not self._network.up():
            if self._clock.uptime() >= self._deadline:
                raise LinkError(self._network.trouble, "wifi")
            self._network.pause(max(0, min(self._on_wait(), SLICE)))

    def _resolve(self):
        lookup = self._network.lookup(self.server, self.timeout)
        try:
            while True:
                ip = lookup.step()  # LinkError at the deadline
                if ip is not None:
                    return ip
                self._network.pause(max(0, min(self._on_wait(), SLICE)), lookup.socket)
        finally:
            lookup.close()

    def _open(self, ip):
        try:
            self.sock = Packets(self._network.stream(ip, self.port), self._clock, self._on_wait)
            self.sock.deadline, self.sock.step = self._deadline, "tcp"
            self.sock.until(writing=True)
        except (OSError, LinkError) as error:
            self._network.forget(self.server)
            text = "no answer" if isinstance(error, LinkError) else "refused or lost (%s)" % error
            raise LinkError("%s port %d: %s" % (ip, self.port, text), "tcp")

    def _secure(self, packet):
        """The handshake is done by the first packet's way out."""
        if self._clock.now()[1] == "none":
            raise LinkError("the clock is not set, so no certificate can be checked", "tls")
        try:
            self.sock.secure(lambda stream: self._network.secure(stream, self._tls.host, self._tls.ca))
            self.sock.write(packet)
        except ValueError as error:
            raise LinkError("the broker's certificate is refused: %s" % str(error).strip(), "tls")

    def _sign_in(self):
        self.sock.take()
        reply = self.sock.read(4)
        if reply[0] != _CONNACK or reply[1] != 2:
            raise LinkError("the broker's first words are no CONNACK")
        if reply[3]:
            reason = _REFUSALS[reply[3] - 1] if reply[3] <= len(_REFUSALS) else "code %d" % reply[3]
            raise LinkError("the broker refuses: %s" % reason)

    # -- packets

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

    def _listen(self, ms):
        self._keep_alive()
        if not self.sock.comes(ms):
            return False
        operation = self.wait_msg()
        if operation is not None and operation & 0xF0 != _PUBLISH:  # umqtt 1.8 returns a message's, 1.3.4 does not
            raise LinkError("packet 0x%02x out of turn" % operation)
        return True

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


def _bytes(text):
    return None if text is None else text.encode()
