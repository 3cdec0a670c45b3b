"""Checks of sntp.py that run on CPython and MicroPython, with time servers by script."""

import random
import struct

from thermograph import BUILT
from thermograph.clock import Clock
from thermograph.sntp import Kiss, Wrong, pack_request, unpack_reply
from thermograph.time_servers import TimeServers

from checks_clock import DAY, NOW, Hand

# -- the bytes


def reply(nonce, t, mode=0x24, stratum=2, code=b"TEST", wait=1):
    """A server's 48 bytes, received at t and answered wait ms later, in Unix ms."""

    def stamp(ms):
        seconds, rest = divmod(ms, 1000)
        return struct.pack("!II", (seconds + 2208988800) & 0xFFFFFFFF, (rest << 32) // 1000 + 1)

    return bytes((mode, stratum, 6, 0xEC)) + bytes(8) + code + bytes(8) + nonce + stamp(t) + stamp(t + wait)


NONCE = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def refuses(data, error=Wrong):
    try:
        found = unpack_reply(data, NONCE)
    except error:
        return
    raise AssertionError(found)


def check_the_request():
    data = pack_request(NONCE)
    assert len(data) == 48 and data[0] == 0x23 and data[40:] == NONCE and not any(data[1:40])


def check_a_reply():
    assert unpack_reply(reply(NONCE, NOW + 123), NONCE) == (NOW + 123, NOW + 124)
    assert unpack_reply(reply(NONCE, NOW, mode=0x1C) + bytes(20), NONCE)[0] == NOW, "version 3, with a signature"
    after = 2085978496000 + 5000  # 2036-02-07 06:28:16: the seconds begin at 0 again
    assert unpack_reply(reply(NONCE, after), NONCE)[0] == after


def check_what_is_no_reply():
    good = reply(NONCE, NOW)
    for size in range(48):
        refuses(good[:size])
    refuses(reply(b"\x01\x02\x03\x04\x05\x06\x07\x09", NOW))  # to another question
    refuses(reply(NONCE, NOW, mode=0x23))  # a client's
    refuses(reply(NONCE, NOW, mode=0x25))  # broadcast
    refuses(reply(NONCE, NOW, mode=0x0C))  # version 1
    refuses(reply(NONCE, NOW, mode=0xE4))  # leap 3: its clock is not set
    refuses(reply(NONCE, NOW, stratum=16))
    refuses(reply(NONCE, NOW, wait=-5))


def check_a_kiss_of_death():
    for code, text in ((b"RATE", "RATE"), (b"DENY", "DENY"), (b"\0\xff\n ", "????")):
        try:
            unpack_reply(reply(NONCE, NOW, stratum=0, code=code), NONCE)
        except Kiss as kiss:
            assert str(kiss) == text
        else:
            raise AssertionError(code)


def check_any_bytes():
    random.seed(7)
    good = reply(NONCE, NOW)
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(random.randrange(1, 5)):
            data[random.randrange(48)] = random.getrandbits(8)
        try:
            unpack_reply(bytes(data[: random.randrange(40, 50)]), NONCE)
        except (Wrong, Kiss):
            pass


# -- the rounds


class World:
    """Clock, network and time servers in one. script: server → function of (nonce, true time) giving datagrams."""

    def __init__(self, script, board=0, quality="none"):
        self.hand = Hand(board=board)
        self.clock = Clock(self.hand, quality)
        self.script = script
        self.asked = []
        self.said = []
        self.set_to = []
        self.wifi = True
        self.count = 0

    def true(self):
        return NOW + self.hand.ticks

    def up(self):
        return self.wifi

    def entropy(self, size):
        self.count = (self.count + 1) % 200
        return bytes((self.count,)) * size

    @property
    def names(self):
        return self

    def lookup(self, host, timeout):
        return Name(host)

    def end(self, lookup):
        lookup.close()

    def udp(self, ip, port):
        assert port == 123
        return Socket(self, ip)

    def run(self, seconds, sntp=None):
        """Each 50 ms a tick, as in a Node."""
        servers = sorted(self.script)
        sntp = sntp or TimeServers(self, self.clock, servers, self.entropy, self.set_to.append, self.said.append)
        end = self.hand.ticks + seconds * 1000
        while self.hand.ticks < end:
            sntp.tick()
            self.hand.ticks += 50
        return sntp


class Name:
    socket = None

    def __init__(self, host):
        self.host = host

    def step(self):
        return self.host

    def close(self):
        pass


class Socket:
    def __init__(self, world, ip):
        self.world, self.ip, self.replies = world, ip, []

    def send(self, data):
        self.world.asked.append((self.ip, self.world.hand.ticks))
        answer = self.world.script[self.ip]
        self.replies = list(answer(data[40:], self.world.true())) if answer else []

    def recv(self, size):
        if not self.replies:
            raise OSError(11, "not now")
        return self.replies.pop(0)

    def close(self):
        pass


def honest(nonce, now):
    return [reply(nonce, now)]


def off_by(ms):
    return lambda nonce, now: [reply(nonce, now + ms)]


def is_right(world, within=100):
    t, quality = world.clock.now()
    return quality == "ntp" and abs(t - world.true()) <= within


def check_set_by_two_that_agree():
    world = World({"a": honest, "b": off_by(300), "c": None})
    world.run(10)
    assert is_right(world, 400) and world.said == ["clock set"] and len(world.set_to) == 1


def check_a_liar_among_three_is_found_out():
    for lie in (-DAY, 3600000, 40 * 365 * DAY):
        for liar in ("a", "b", "c"):
            world = World({"a": honest, "b": honest, "c": honest})
            world.script[liar] = off_by(lie)
            world.run(10)
            assert is_right(world), (lie, liar)


def check_two_that_disagree_set_nothing():
    world = World({"a": honest, "b": off_by(3600000)})
    world.run(300)
    assert world.clock.now()[1] == "none" and "time servers disagree: none is believed" in world.said


def check_one_alone_is_believed_in_the_third_round():
    world = World({"a": honest, "b": None})
    sntp = world.run(5)
    assert world.clock.now()[1] == "none"
    world.run(80, sntp)
    assert is_right(world) and len([one for one in world.asked if one[0] == "a"]) == 3
    world = World({"a": honest})
    world.run(5)
    assert is_right(world), "the only one that was chosen"


def check_one_alone_that_wanders_is_not_believed():
    world = World({"a": lambda nonce, now: [reply(nonce, now + now % 7919 * 100000)], "b": None})
    world.run(300)
    assert world.clock.now()[1] == "none"


def check_a_small_step_needs_one_server_and_a_jump_needs_two():
    world = World({"a": honest, "b": None}, board=NOW + 3000, quality="rtc")
    world.run(5)
    assert is_right(world) and [one[0] for one in world.asked] == ["a"]
    assert world.said[0].startswith("clock set, it was 3"), world.said
    world = World({"a": off_by(3600000), "b": honest, "c": honest}, board=NOW, quality="rtc")
    world.run(10)
    assert is_right(world), "one that lies moves nothing"


def check_before_the_build_is_never_believed():
    world = World({"a": off_by(-NOW + BUILT - DAY), "b": off_by(-NOW + BUILT - DAY)})
    world.run(60)
    assert world.clock.now()[1] == "none" and not world.set_to


def check_silence_backs_off_and_recovers():
    world = World({"a": None, "b": None})
    sntp = world.run(3600)
    times = [at for ip, at in world.asked if ip == "a"]
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert 15000 <= gaps[0] <= 30000 and gaps[-1] > 500000 and len(gaps) < 10, gaps
    world.script = {"a": honest, "b": honest}
    world.run(1200, sntp)
    assert is_right(world)


def check_an_hour_between_rounds_that_succeed():
    world = World({"a": honest, "b": honest}, board=NOW, quality="rtc")
    world.run(3 * 3600)
    times = [at for ip, at in world.asked if ip == "a"]
    assert 3 <= len(times) <= 4 and all(b - a > 3200000 for a, b in zip(times, times[1:])), times


def check_a_server_that_wants_to_be_left_alone_is():
    world = World({"a": lambda nonce, now: [reply(nonce, now, stratum=0, code=b"RATE")], "b": honest, "c": honest})
    world.run(6 * 3600)
    assert is_right(world)
    times = [at for ip, at in world.asked if ip == "a"]
    assert len(times) <= 3 and all(b - a >= 7200000 for a, b in zip(times, times[1:])), times


def check_replies_to_others_are_passed_over():
    def noise(nonce, now):
        return [b"", b"x" * 48, reply(b"\xaa" * 8, now + DAY), reply(nonce, now + DAY, stratum=16), reply(nonce, now)]

    world = World({"a": noise, "b": noise})
    world.run(10)
    assert is_right(world)


def check_nothing_is_asked_without_a_network():
    world = World({"a": honest})
    world.wifi = False
    sntp = world.run(100)
    assert not world.asked
    world.wifi = True
    world.run(2, sntp)
    assert is_right(world)
