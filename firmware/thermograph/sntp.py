"""Sntp: sets the clock from several time servers (RFC 4330, client of RFC 5905), step by step, never waiting.
Loaded for a round of them by time_servers.py.

A server is not believed because it answers. Where the clock would be set for the first time or would jump, two must
agree; where one alone answers, it must say the same in three rounds. unpack_reply is pure and takes any bytes.
"""

import errno
import struct

from .errors import LinkError
from .names import split_port

_PORT = 123
_REPLY = 2000  # ms to wait for a server: its name, then its answer
_LOOKUP = 5000
_JUMP = 5000  # ms the clock may be moved on the word of one server
_AGREE = 1000  # ms between two that agree, besides what the way of their packets explains
_LONE = 3  # rounds
_LONGEST = 64  # times `soon` between two rounds that fail
_BANISHED, _SLOWED = 86400000, 7200000  # ms for which a server is left alone that asks for it
_EPOCH = 2208988800  # s from 1900 to 1970
_VERSION_CLIENT = 0x23  # version 4, mode 3


class Wrong(ValueError):
    """No answer to this question, or of a server that has no time itself."""


class Kiss(Exception):
    """The server asks to be left alone. Its text is the code of RFC 4330, section 8."""


class Sntp:
    """network: names, udp(ip, port), up(); servers: texts "host" or "host:port"; entropy(size): random
    bytes; on_set(t): called with each new time; say(text): a line for people. soon: ms between rounds that fail at
    first, at least 15 s; later: ms between those that succeed. next: the uptime of the next
    round; memory: what the next Sntp has to know of this one."""

    def __init__(self, network, clock, servers, entropy, on_set, say, soon=16000, later=3600000, memory=None):
        self._network = network
        self._clock = clock
        self._servers = servers
        self._entropy = entropy
        self._on_set = on_set
        self._say = say
        self._soon = soon
        self._later = later
        # wait: ms after the next round that fails; alone_until: {server: uptime}; lone: (base, rounds) of one server
        self._wait, self._alone_until, self._lone = memory or (soon, {}, (None, 0))
        self.next = clock.uptime()
        self._left = []
        self._exchange = None
        self._found = []

    @property
    def memory(self):
        return self._wait, self._alone_until, self._lone

    def tick(self):
        """To be called often; returns at once."""
        if self._exchange is not None:
            self._go_on()
        elif self._left:
            self._exchange = Exchange(self._network, self._clock, self._left.pop(0), self._entropy)
        elif self._clock.uptime() >= self.next and self._network.up():
            self._start()

    def _start(self):
        now = self._clock.uptime()
        self._found = []
        self._left = [one for one in self._servers if self._alone_until.get(one, 0) <= now]
        if not self._left:
            self.next = now + self._soon

    def _go_on(self):
        exchange = self._exchange
        try:
            found = exchange.step()
            if found is None:
                return
            self._found.append(found)
        except Kiss as kiss:
            away = _SLOWED if str(kiss) == "RATE" else _BANISHED
            self._alone_until[exchange.server] = self._clock.uptime() + away
            self._say("time server %s asks to be left alone: %s" % (exchange.server, kiss))
        except (LinkError, OSError):
            pass  # silent or unknown: the others may answer
        exchange.close()
        self._exchange = None
        if self._found and not self._left_to_ask():
            self._finish(self._judge())
        elif not self._left:
            self._finish(None)

    def _left_to_ask(self):
        """A small step needs no second server."""
        base, _ = self._found[0]
        uptime = self._clock.uptime()
        off = self._clock.off_by(base + uptime, uptime)
        if off is not None and abs(off) <= _JUMP and len(self._found) == 1:
            self._left = []
        return self._left

    def _judge(self):
        """(base, error) to believe, or None: the one that most others agree with, then the most exact."""
        best = None
        for base, error in self._found:
            friends = sum(abs(base - other) <= _AGREE + error + wide for other, wide in self._found)
            if best is None or (friends, -error) > best[0]:
                best = (friends, -error), base, error
        (friends, _), base, error = best
        uptime = self._clock.uptime()
        off = self._clock.off_by(base + uptime, uptime)
        if friends > 1 or len(self._servers) == 1 or (off is not None and abs(off) <= _JUMP):
            self._lone = None, 0
            return base, error
        if len(self._found) > 1:
            self._say("time servers disagree: none is believed")
            return None
        before, rounds = self._lone
        rounds = rounds + 1 if before is not None and abs(base - before) <= _AGREE + error else 1
        self._lone = base, rounds
        return (base, error) if rounds >= _LONE else None

    def _finish(self, believed):
        uptime = self._clock.uptime()
        jitter = 900 + self._entropy(1)[0] * 200 // 256
        if believed is not None and self._set(believed, uptime):
            self._wait = self._soon
            self.next = uptime + self._later * jitter // 1000
        else:
            self.next = uptime + self._wait * jitter // 1000
            self._wait = min(self._wait * 2, self._soon * _LONGEST)

    def _set(self, believed, uptime):
        base, error = believed
        t = base + uptime
        off = self._clock.off_by(t, uptime)
        if not self._clock.set(t, uptime, error):
            self._say("time servers tell a time before this firmware was built")
            return False
        self._on_set(t)
        if off is None or abs(off) > 1000:
            self._say("clock set%s" % ("" if off is None else ", it was %d ms off" % -off))
        return True


class Exchange:
    """One question to one server. step() returns at once."""

    def __init__(self, network, clock, server, entropy):
        self.server = server
        self._network = network
        self._clock = clock
        host, self._port = split_port(server, _PORT)
        self._names = network.names
        self._lookup = self._names.lookup(host, _LOOKUP)
        self._nonce = entropy(8)
        self._sent = None
        self._socket = None

    def step(self):
        """(base, error): Unix ms at uptime 0, and the ms that it may be wrong by; or None: ask again. LinkError and
        OSError where there is no answer, Kiss where it is no."""
        if self._socket is None:
            ip = self._lookup.step()
            if ip is not None:
                self._socket = self._network.udp(ip, self._port)
                self._sent = self._clock.uptime()
                self._socket.send(pack_request(self._nonce))
            return None
        try:
            return self._hear()
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        if self._clock.uptime() - self._sent > _REPLY:
            raise LinkError("time server %s is silent" % self.server, "ntp")
        return None

    def close(self):
        self._names.end(self._lookup)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _hear(self):
        """The first good answer of all that has come; OSError EAGAIN after the last."""
        while True:
            data = self._socket.recv(256)
            came = self._clock.uptime()
            try:
                received, answered = unpack_reply(data, self._nonce)
            except Wrong:
                continue
            way = came - self._sent - (answered - received)
            if 0 <= way <= _REPLY + 500:
                return answered + way // 2 - came, (way + 1) // 2


def pack_request(nonce):
    """48 bytes. The nonce stands where our time would: the server sends it back, and learns nothing."""
    return bytes((_VERSION_CLIENT,)) + bytes(39) + nonce


def unpack_reply(data, nonce):
    """(received, answered) by the server's clock, in Unix ms. Wrong or Kiss."""
    if len(data) < 48 or data[24:32] != nonce:
        raise Wrong("no answer to this question")
    if data[0] & 7 != 4 or data[0] >> 3 & 7 not in (3, 4):
        raise Wrong("no server")
    if data[1] == 0:
        raise Kiss("".join(chr(c) if 32 < c < 127 else "?" for c in data[12:16]))
    if data[0] >> 6 == 3 or data[1] > 15:
        raise Wrong("the server has no time")
    received, answered = _unix_ms(data, 32), _unix_ms(data, 40)
    if answered < received:
        raise Wrong("answered before it was asked")
    return received, answered


def _unix_ms(data, at):
    seconds, fraction = struct.unpack_from("!II", data, at)
    if seconds < 1 << 31:
        seconds += 1 << 32  # the era that begins in 2036: RFC 4330, section 3
    return (seconds - _EPOCH) * 1000 + (fraction * 1000 >> 32)
