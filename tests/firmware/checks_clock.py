"""Checks of clock.py and sntp.py that run on CPython and MicroPython, with a time module and time servers by script."""

import random
import struct

from thermograph.build import BUILT
from thermograph.clock import Clock
from thermograph.sntp import Kiss, Sntp, Wrong, pack_request, unpack_reply

NOW = BUILT + 30 * 86400000  # Unix ms
DAY = 86400000
EPOCHS = {1970: 0, 2000: 946684800000}


class Hand:
    """A time module turned by hand; board: Unix ms that the board's clock shows at ticks 0; slow: ppb of its quartz."""

    def __init__(self, epoch=2000, board=NOW, wrap=None):
        self.epoch, self.board, self.wrap, self.ticks = epoch, board, wrap, 0

    def ticks_ms(self):
        return self.ticks % self.wrap if self.wrap else self.ticks

    def ticks_diff(self, a, b):
        if not self.wrap:
            return a - b
        return (a - b + self.wrap // 2) % self.wrap - self.wrap // 2

    def gmtime(self, seconds):
        return (self.epoch, 1, 1)

    def time_ns(self):
        return (self.board - EPOCHS[self.epoch] + self.ticks) * 1000000


def check_both_epochs():
    for epoch in (1970, 2000):
        hand = Hand(epoch)
        clock = Clock(hand, "rtc")
        hand.ticks = 1500
        assert clock.now() == (NOW + 1500, "rtc")


def check_a_clock_before_the_build_is_none():
    for board in (0, BUILT - 2):
        hand = Hand(board=board)
        clock = Clock(hand, "rtc")
        hand.ticks = 1
        assert clock.now() == (1, "none") and clock.text() == "+0.001s"
    assert Clock(Hand(board=BUILT), "ntp").now() == (BUILT, "ntp")
    assert Clock(Hand(), "none").now() == (0, "none"), "nobody set it"


def check_set_from_outside():
    hand = Hand(board=0)
    clock = Clock(hand, "none")
    hand.ticks = 5000
    assert clock.set(NOW, 4000, 20) and clock.now() == (NOW + 1000, "ntp")
    hand.board = 12345  # the board's clock jumps: ours does not
    assert clock.now() == (NOW + 1000, "ntp")
    assert not clock.set(BUILT - 1, 5000, 20) and clock.now() == (NOW + 1000, "ntp")
    assert clock.off_by(NOW + 900, 5000) == -100


def check_trust_ends_after_a_week_without_a_server():
    hand = Hand()
    clock = Clock(hand, "rtc")
    clock.set(NOW, 0, 20)
    hand.ticks = 7 * DAY - 1
    assert clock.now()[1] == "ntp"
    hand.ticks = 7 * DAY
    assert clock.now() == (NOW + 7 * DAY, "rtc")
    clock.set(NOW + 7 * DAY, 7 * DAY, 20)
    assert clock.now()[1] == "ntp"


def check_drift_is_learnt_and_used():
    """A quartz 40 ppm slow: without a server for a day it is then off by less than 100 ms, not by 3.4 s."""
    hand = Hand()
    clock = Clock(hand, "rtc")

    def true(ticks):
        return NOW + ticks + ticks * 40 // 1000000

    for hour in range(12):
        hand.ticks = hour * 3600000
        clock.set(true(hand.ticks), hand.ticks, 20)
    assert 38000 < clock.drift < 42000, clock.drift
    hand.ticks += DAY
    assert abs(clock.now()[0] - true(hand.ticks)) < 100
    kept = Clock(Hand(), "rtc", drift=clock.drift)
    assert kept.drift == clock.drift


def check_what_is_no_drift():
    hand = Hand()
    clock = Clock(hand, "rtc")
    clock.set(NOW, 0, 20)
    hour = 3600000
    clock.set(NOW + hour + 4000, hour, 400)
    assert clock.drift == 0, "what the packets' way explains"
    clock.set(NOW + 3 * hour - 60000, 3 * hour, 20)
    assert clock.drift == 0, "a step"
    clock.set(NOW + 3 * hour - 60000 + 1000 + 300, 3 * hour + 1000, 20)
    assert clock.drift == 0, "a second"
    clock.set(NOW + 6 * hour - 60000 + 4900, 6 * hour, 20)
    assert 0 < clock.drift <= 500000
    before = clock.drift
    for turn in range(7, 9):
        clock.set(clock._at(turn * hour) + 4000, turn * hour, 20)
    assert before <= clock.drift <= 500000, "no quartz is that bad"


def check_uptime_only_grows_and_passes_the_wrap():
    hand = Hand(wrap=1 << 30)
    hand.ticks = (1 << 30) - 500
    clock = Clock(hand, "none")
    seen = []
    for step in (0, 400, 200, -100, 5, 1 << 28):
        hand.ticks += step
        seen.append(clock.uptime())
    assert seen[:3] == [0, 400, 600] and seen[3] == 600 and seen[4] == 605 and seen[5] == 605 + (1 << 28)


def check_a_step_back_never_reorders_seq():
    from thermograph.outbox import Outbox
    from thermograph.reading import Batch, Reading

    from nor import Nor

    hand = Hand()
    clock = Clock(hand, "rtc")
    outbox = Outbox(Nor(3), lambda size: b"\x01\x02\x03\x04", [("a", "Cel")])
    for turn in range(6):
        hand.ticks += 1000
        if turn == 3:
            clock.set(NOW - 3600000, hand.ticks, 20)
        t, quality = clock.now()
        outbox.append(Reading(t, quality, "a", "Cel", turn, None))
    kept = list(outbox.peek(1, 9))
    assert [one.seq for one in kept] == [1, 2, 3, 4, 5, 6] and [one.reading.value for one in kept] == [0, 1, 2, 3, 4, 5]
    times = [one.reading.t - NOW for one in kept]
    assert times == [1000, 2000, 3000, -3600000, -3599000, -3598000], times
    batch = Batch(outbox.stream, kept[3])
    assert batch.add(kept[4]) and b'"seq":4' in batch.encode(0)


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

    def lookup(self, host, timeout):
        return Name(host)

    def udp(self, ip, port):
        assert port == 123
        return Socket(self, ip)

    def run(self, seconds, sntp=None):
        """Each 50 ms a tick, as in a Node."""
        sntp = sntp or Sntp(self, self.clock, sorted(self.script), self.entropy, self.set_to.append, self.said.append)
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
