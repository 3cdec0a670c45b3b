"""Checks of resolver.py that run on CPython and MicroPython: what it asks, and what it makes of any bytes."""

import random
import struct

from thermograph.errors import LinkError
from thermograph.names import Names, is_address, split_port
from thermograph.resolver import Refused, Wrong, pack_query, unpack_answer

HOST = "broker.cold.example"
QUERY = pack_query(0x1234, HOST)
NAME = QUERY[12:-4]


def answer(rows, number=0x1234, flags=0x8180, question=None, count=None):
    head = struct.pack("!HHHHHH", number, flags, 1, len(rows) if count is None else count, 0, 0)
    return head + (QUERY[12:] if question is None else question) + b"".join(rows)


def row(data, kind=1, ttl=60, name=b"\xc0\x0c", space=1):
    return name + struct.pack("!HHIH", kind, space, ttl, len(data)) + data


GOOD = answer([row(b"\x0a\x00\x00\x07")])


def refuses(data, error=Wrong):
    try:
        found = unpack_answer(data, 0x1234, HOST)
    except error:
        return
    raise AssertionError("taken: %r" % (found,))


def check_the_query_is_rfc_1035_s():
    assert QUERY == b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x06broker\x04cold\x07example\0\0\x01\0\x01"
    assert pack_query(0x1234, HOST + ".") == QUERY
    for name in ("", ".", "a..b", "a" * 64, ".".join(["a" * 60] * 5), "caf\u00e9.example"):
        try:
            pack_query(1, name)
        except ValueError:
            continue
        raise AssertionError(name)


def check_an_answer():
    assert unpack_answer(GOOD, 0x1234, HOST) == ("10.0.0.7", 60)
    loud = answer([row(b"\x0a\x00\x00\x07", name=NAME.upper())], question=QUERY[12:].upper())
    assert unpack_answer(loud, 0x1234, HOST) == ("10.0.0.7", 60), "names have no case"
    other = [row(b"x" * 16, kind=28), row(b"\x01\x02\x03\x04", name=b"\x01a\0")]
    other += [row(b"\x0a\0\0\x07"), row(b"\x0a\0\0\x08")]
    assert unpack_answer(answer(other), 0x1234, HOST) == ("10.0.0.7", 60), "the first of this name"
    assert unpack_answer(answer([row(b"\x0a\0\0\x07", ttl=0xFFFFFFFF)]), 0x1234, HOST)[1] == 0


def check_aliases_are_followed():
    edge = b"\x04edge\xc0\x13"  # edge.cold.example, by a pointer into the question
    rows = [row(edge, kind=5, ttl=30), row(b"\x0a\x00\x00\x09", name=edge, ttl=600)]
    assert unpack_answer(answer(rows), 0x1234, HOST) == ("10.0.0.9", 30)
    assert unpack_answer(answer(rows[::-1]), 0x1234, HOST) == ("10.0.0.9", 30), "in any order"
    refuses(answer([row(b"\xc0\x0c", kind=5)]), Refused)  # an alias of itself
    refuses(answer([row(edge, kind=5), row(b"\xc0\x0c", kind=5, name=edge)]), Refused)


def check_what_is_no_answer_to_this_question():
    refuses(answer([row(b"\x0a\0\0\x07")], number=0x1235))
    refuses(QUERY)
    refuses(answer([row(b"\x0a\0\0\x07")], flags=0x8980))  # of another kind
    refuses(answer([row(b"\x0a\0\0\x07")], question=pack_query(1, "broker.cold.examplf")[12:]))
    refuses(answer([row(b"\x0a\0\0\x07")], question=QUERY[12:-1] + b"\x03"))
    refuses(b"")
    for size in range(len(GOOD)):
        refuses(GOOD[:size])
    refuses(GOOD + bytes(1500))


def check_names_that_loop_or_lead_nowhere():
    at = len(QUERY)
    for name in (
        struct.pack("!H", 0xC000 | at),  # to itself
        struct.pack("!H", 0xC000 | at + 2) + struct.pack("!H", 0xC000 | at),
        b"\x01a" + struct.pack("!H", 0xC000 | at),  # to where it begins
        struct.pack("!H", 0xFFFF),
        b"\x40abc\0",
        b"\x80abc\0",
        b"\x3fabc",
    ):
        refuses(answer([row(b"\x0a\0\0\x07", name=name)]))
    long = answer([row(b"\x0a\0\0\x07", name=(b"\x3f" + b"a" * 63) * 5 + b"\0")])
    refuses(long)


def check_a_refusal_says_why():
    for code, text in ((2, "server failure"), (3, "no such name"), (5, "refused"), (11, "code 11")):
        try:
            unpack_answer(answer([], flags=0x8180 | code), 0x1234, HOST)
        except Refused as refusal:
            assert str(refusal) == text
        else:
            raise AssertionError(code)
    refuses(answer([]), Refused)
    refuses(answer([row(b"x" * 16, kind=28)]), Refused)


def check_any_bytes():
    """Good answers with bytes changed, cut off, joined: an address, Wrong or Refused, and never more."""
    edge = b"\x04edge\xc0\x13"
    good = [GOOD, answer([row(edge, kind=5), row(b"\x0a\0\0\x09", name=edge)]), answer([], flags=0x8183)]
    random.seed(5)
    taken = 0
    for turn in range(20000):
        data = bytearray(good[turn % 3])
        for _ in range(random.randrange(1, 6)):
            data[random.randrange(len(data))] = random.choice((0, 1, 0x0C, 0x3F, 0xC0, 0xFF, random.getrandbits(8)))
        data = bytes(data[: random.randrange(len(data) * 2)])
        try:
            ip, ttl = unpack_answer(data, 0x1234, HOST)
        except (Wrong, Refused):
            continue
        taken += 1
        assert is_address(ip) and 0 <= ttl <= 0xFFFFFFFF
    assert taken > 100


def check_what_is_an_address():
    for text in ("1.2.3.4", "255.255.255.255", "0.0.0.1", "010.1.1.1"):
        assert is_address(text)
    for text in ("", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.-4", "1.2.3.4 ", "a.b.c.d", "1.2.3.\u00b2", "..."):
        assert not is_address(text), text
    assert split_port("a.b", 53) == ("a.b", 53) and split_port("1.2.3.4:5353", 53) == ("1.2.3.4", 5353)


class World:
    """Clock, network and name servers in one: servers that answer, by a script."""

    def __init__(self, servers):
        self.now = 0
        self.script = servers  # "IP": function of the query, or None: silent
        self.asked = []

    def uptime(self):
        return self.now

    def servers(self):
        return sorted(self.script)

    def known(self, host):
        return "10.1.1.1" if host == "in-the-hosts-file" else None

    def udp(self, ip, port):
        return Socket(self, ip, port)

    def entropy(self, size):
        return bytes(range(0x12, 0x12 + size))


class Socket:
    def __init__(self, world, ip, port):
        self.world, self.ip, self.port, self.reply = world, ip, port, []

    def send(self, data):
        self.world.asked.append(self.ip)
        answer = self.world.script[self.ip]
        if answer == "absent":
            raise OSError(111, "refused")
        if answer:
            self.reply = list(answer(data))

    def recv(self, size):
        if not self.reply:
            raise OSError(11, "not now")
        return self.reply.pop(0)

    def close(self):
        pass


def says(ip, ttl=60):
    def reply(query):
        data = query[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + query[12:]
        return [b"garbage", b"\0\0" + data[2:], data + row(bytes(int(part) for part in ip.split(".")), ttl=ttl)]

    return reply


def no_such_name(query):
    return [query[:2] + b"\x81\x83\0\x01\0\0\0\0\0\0" + query[12:]]


def run(resolver, world, host="broker.example", timeout=10000):
    """(address or the error, ms)"""
    start = world.now
    lookup = resolver.lookup(host, timeout)
    try:
        for _ in range(1000):
            ip = lookup.step()
            if ip:
                return ip, world.now - start
            world.now += 100
    except LinkError as error:
        assert error.step == "dns"
        return str(error), world.now - start
    raise AssertionError("no end")


def check_names_that_need_no_server():
    world = World({})
    resolver = Names(world, world, world.entropy)
    for host, ip in (("10.2.3.4", "10.2.3.4"), ("LocalHost", "127.0.0.1"), ("a.localhost", "127.0.0.1"),
                     ("in-the-hosts-file", "10.1.1.1")):  # fmt: skip
        assert run(resolver, world, host) == (ip, 0)
    text, ms = run(resolver, world)
    assert text == "dns: broker.example: no name server is known" and ms == 10000
    assert "no host name" in run(resolver, world, "a..b")[0] or not world.script


def check_the_next_server_is_asked():
    world = World({"10.0.0.1": None, "10.0.0.2": "absent", "10.0.0.3": no_such_name, "10.0.0.4": says("10.9.9.9")})
    resolver = Names(world, world, world.entropy)
    ip, ms = run(resolver, world)
    assert ip == "10.9.9.9" and ms < 2500 and world.asked == sorted(world.script), (ip, ms, world.asked)


def check_silence_ends_at_the_deadline_and_a_refusal_at_once():
    world = World({"10.0.0.1": None, "10.0.0.2": None})
    text, ms = run(Names(world, world, world.entropy), world)
    assert text == "dns: broker.example: no answer" and ms == 10000 and 6 <= len(world.asked) <= 8
    world = World({"10.0.0.1": no_such_name})
    text, ms = run(Names(world, world, world.entropy), world)
    assert text == "dns: broker.example: no such name" and ms <= 300


def check_kept_by_its_ttl_and_used_when_no_other_is_to_be_had():
    world = World({"10.0.0.1": says("10.9.9.9", ttl=100)})
    resolver = Names(world, world, world.entropy)
    assert run(resolver, world)[0] == "10.9.9.9" and len(world.asked) == 1
    world.now += 90000
    assert run(resolver, world) == ("10.9.9.9", 0) and len(world.asked) == 1
    world.now += 20000
    world.script = {"10.0.0.1": says("10.9.9.8", ttl=100)}
    assert run(resolver, world)[0] == "10.9.9.8", "asked anew"
    world.now += 200000
    world.script = {"10.0.0.1": None}
    assert run(resolver, world) == ("10.9.9.8", 10000), "the last good answer"
    resolver.forget("Broker.example")
    world.script = {"10.0.0.1": says("10.9.9.7")}
    assert run(resolver, world)[0] == "10.9.9.7", "it led nowhere: asked anew"


def check_memory_does_not_grow_with_the_names():
    world = World({"10.0.0.1": says("10.9.9.9")})
    resolver = Names(world, world, world.entropy)
    for n in range(50):
        assert run(resolver, world, "host%d.example" % n)[0] == "10.9.9.9"
    assert len(resolver.kept) <= 8
