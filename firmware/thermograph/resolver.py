"""Resolver: a host's IPv4 address by DNS over UDP (RFC 1035), without ever blocking.

The system's resolver may take minutes when its servers are silent, and the ESP32's blocks all else meanwhile. This one
is asked again and again, step by step, and loaded for that. pack_query and unpack_answer are pure and take any bytes.
"""

import errno
import struct

from .errors import LinkError
from .names import split_port

_PORT = 53
_TRY = 1500  # ms until the next server is asked
_PAUSE = 200  # ms until it is asked where a server is not there
_TTL_LEAST, _TTL_MOST = 30, 86400  # s
_KEPT = 8  # names
_A, _CNAME, _IN = 1, 5, 1
_HEAD = "!HHHHHH"
_HOPS = 16  # CNAMEs followed in one answer
_LIMIT = 1500
_CODES = ("", "format error", "server failure", "no such name", "not implemented", "refused")


class Wrong(ValueError):
    """An answer that is none to this question: it is passed over, for another may come."""


class Refused(Exception):
    """The server answers that there is no address."""


class Lookup:
    """One question. names: a names.Names, which keeps what is found. step() returns at once; the poll
    object of `socket` tells when to call it early."""

    def __init__(self, names, host, deadline):
        self._names = names
        self._network = names.network
        self._clock = names.clock
        self._host = host
        self._deadline = deadline
        self._known = names.address(host)
        self._turn = 0
        self._next = 0
        self._id = 0
        self._why = "no answer"
        self.socket = None

    def step(self):
        """The address as text, or None: ask again. LinkError of step "dns" when there is none."""
        if self._known:
            return self._known
        try:
            answer = self._hear()
        except Refused as refusal:
            self._why = str(refusal)
            self._next = 0
            answer = None
            if self._turn >= len(self._network.servers()):
                return self._fall_back()
        if answer:
            self.close()
            self._keep(*answer)
            return answer[0]
        now = self._clock.uptime()
        if now >= self._deadline:
            return self._fall_back()
        if now >= self._next:
            self._ask(now)
        return None

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _ask(self, now):
        """The next server in turn, from a new port and with a new id: an old answer no longer counts."""
        self.close()
        self._next = now + _TRY
        servers = self._network.servers()
        if not servers:
            self._why = "no name server is known"
            return
        ip, port = split_port(servers[self._turn % len(servers)], _PORT)
        self._turn += 1
        self._id = struct.unpack("!H", self._names.entropy(2))[0]
        try:
            question = pack_query(self._id, self._host)
        except ValueError as error:
            raise LinkError("%s: %s" % (self._host, error), "dns")
        try:
            self.socket = self._network.udp(ip, port)
            self.socket.send(question)
        except OSError as error:
            self._skip(error)

    def _skip(self, error):
        """Nobody listens there."""
        self.close()
        self._why = "no name server answers: %s" % error
        self._next = self._clock.uptime() + _PAUSE

    def _hear(self):
        """(ip, ttl) if the answer has come, or None."""
        while self.socket is not None:
            try:
                data = self.socket.recv(_LIMIT)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    self._skip(error)
                return None
            try:
                return unpack_answer(data, self._id, self._host)
            except Wrong:
                continue
        return None

    def _keep(self, ip, ttl):
        kept = self._names.kept
        if len(kept) >= _KEPT and self._host not in kept:
            kept.pop(min(kept, key=lambda name: kept[name][1]))
        kept[self._host] = ip, self._clock.uptime() + max(_TTL_LEAST, min(ttl, _TTL_MOST)) * 1000

    def _fall_back(self):
        self.close()
        ip, _ = self._names.kept.get(self._host, (None, 0))
        if ip is None:
            raise LinkError("%s: %s" % (self._host, self._why), "dns")
        self._keep(ip, 0)
        return ip


def pack_query(number, host):
    """The bytes that ask for a host's IPv4 addresses. ValueError if the name cannot be asked for."""
    if host.endswith("."):
        host = host[:-1]
    name = b""
    for label in host.split("."):
        part = label.encode()
        if not 0 < len(part) < 64 or max(part) > 127:
            raise ValueError("no host name")
        name += bytes((len(part),)) + part
    if len(name) > 254:
        raise ValueError("no host name")
    return struct.pack(_HEAD, number, 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack("!HH", _A, _IN)


def unpack_answer(data, number, host):
    """(ip, ttl in s) of an answer's bytes. Wrong if it is no answer to this question, Refused if it says no."""
    try:
        return _unpack(data, number, host)
    except IndexError:
        raise Wrong("cut off")


def _unpack(data, number, host):
    if len(data) < 12 or len(data) > _LIMIT:
        raise Wrong("length")
    found, flags, questions, answers, _, _ = struct.unpack_from(_HEAD, data, 0)
    if found != number or flags & 0xF800 != 0x8000 or questions != 1:
        raise Wrong("no answer to this question")
    question = pack_query(number, host)
    if data[12 : len(question)].lower() != question[12:].lower():
        raise Wrong("another question")
    if flags & 15:
        raise Refused(_CODES[flags & 15] if flags & 15 < len(_CODES) else "code %d" % (flags & 15))
    at = len(question)
    wanted, _ = _name(data, 12)
    ttl = _TTL_MOST
    aliases = {}
    addresses = {}
    for _ in range(min(answers, 64)):
        owner, at = _name(data, at)
        if at + 10 > len(data):
            raise Wrong("cut off")
        kind, space, life, size = struct.unpack_from("!HHIH", data, at)
        at += 10
        if at + size > len(data):
            if flags & 0x0200:
                break  # truncated: what came before may do
            raise Wrong("cut off")
        if space == _IN and kind == _CNAME:
            aliases[owner] = _name(data, at)[0], life
        elif space == _IN and kind == _A and size == 4 and owner not in addresses:
            addresses[owner] = "%d.%d.%d.%d" % tuple(data[at : at + 4]), life
        at += size
    for _ in range(_HOPS):
        if wanted in addresses:
            ip, life = addresses[wanted]
            return ip, min(ttl, life if life < 1 << 31 else 0)  # RFC 2181, section 8
        if wanted not in aliases:
            break
        wanted, life = aliases[wanted]
        ttl = min(ttl, life)
    raise Refused("no address")


def _name(data, at):
    """(name in lower case, offset after it). Pointers lead backwards only, so there is no loop."""
    name = b""
    end = None
    limit = len(data)
    while True:
        size = data[at]
        if size >= 0xC0:
            target = (size & 0x3F) << 8 | data[at + 1]
            if end is None:
                end = at + 2
            if target >= min(at, limit):
                raise Wrong("a name that points forward")
            at = limit = target
        elif size > 63:
            raise Wrong("a label of unknown kind")
        else:
            at += 1
            if size == 0:
                return name, at if end is None else end
            if at + size > len(data) or len(name) + size > 254:
                raise Wrong("a name too long")
            name += data[at : at + size].lower() + b"."
            at += size
