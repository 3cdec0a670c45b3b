"""Link: umqtt.simple with a deadline on every wait, and one error that names the step which failed.

    connecting.py: wifi ──> dns ──> tcp ──> tls ──> mqtt: sign in      here: publish, subscribe, listen

umqtt 1.3.4 and micropython-lib's 1.8 both read and write through `self.sock` only. Link gives them a Packets object
there, which sends a packet in one piece, takes in a whole one of bounded size, and lets nothing wait beyond the
deadline. That mends, without a copy of umqtt: it waits for ever, sends a packet in many pieces, parses what is not all
there, and its packet id runs over. MQTT 3.1.1 (OASIS).
"""

from umqtt.simple import MQTTClient, MQTTException

from .errors import LinkError
from .moment import let_go

_PUBLISH = 0x30
_WRONG = (
    LinkError,
    OSError,
    MemoryError,
    AssertionError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    MQTTException,
)
# Its own connect opens a socket that blocks; the other is for a loop of another kind. A board has no room for them.
for _name in ("connect", "check_msg"):
    if hasattr(MQTTClient, _name):
        delattr(MQTTClient, _name)


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
            self, device.encode(), broker.host, broker.port, broker.user, broker.password, broker.keepalive
        )
        self.network = network
        self.clock = clock
        self.tls = getattr(broker, "tls", None)
        self.on_wait = on_wait
        self.timeout = timeout
        self.deadline = 0
        self.failed_at = 0  # uptime
        self._pinged = None
        self.set_callback(on_message)

    @property
    def connected(self):
        return self.sock is not None

    def network_is_new(self):
        """There is a network again since the last failure: it is worth an attempt."""
        since = self.network.up_since
        return since is not None and since > self.failed_at

    def connect(self, clean_session=True):
        """Open the connection and sign in."""
        self.drop()
        self._pinged = None
        guard = getattr(self.network, "guard", None)
        try:
            if guard:
                guard.begin()
            from . import connecting

            connecting.connect(self, clean_session)
            self.network.failures = 0
            if guard:
                guard.blamed = None
        except MemoryError:
            self.drop()
            raise LinkError("out of memory")
        except LinkError as error:
            if error.step in ("dns", "tcp"):  # the others show that the network works
                self.network.failures += 1
            raise
        finally:
            connecting = None
            let_go("connecting")

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
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def within(self, step, call, *args):
        """What the call returns, or a LinkError that names this step, once the connection is dropped."""
        self.deadline = self.clock.uptime() + self.timeout
        if self.sock is not None:
            self.sock.deadline, self.sock.step = self.deadline, step
        try:
            return call(*args)
        except _WRONG as error:
            self.failed_at = self.clock.uptime()
            lack = self._lack(error)  # before what it had is given back
            self.drop()
            if lack:
                raise LinkError(lack, step)
            if isinstance(error, LinkError):
                raise
            raise LinkError("%s: %s" % (type(error).__name__, error), step)

    def _lack(self, error):
        guard = getattr(self.network, "guard", None)
        try:
            return guard and guard.do("lack", error)
        except MemoryError:
            return "out of memory"

    def _online(self, call, *args):
        if self.sock is None:
            raise LinkError("not connected")
        if self.pid >= 65535:
            self.pid = 0  # umqtt would go on to 65536, which does not fit; 0 is no packet id
        return self.within("mqtt", call, *args)

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
        now = self.clock.uptime()
        if self.sock.pong:
            self._pinged, self.sock.pong = None, False
        if self._pinged is not None and now - self._pinged > self.timeout:
            raise LinkError("ping not answered")
        silence = now - min(self.sock.heard, self.sock.said)
        if self._pinged is None and silence >= self.keepalive * 500:
            self._pinged = now
            self.ping()
