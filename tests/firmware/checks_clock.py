"""Checks of clock.py and sntp.py that run on CPython and MicroPython, with a time module and time servers by script."""

from thermograph import BUILT
from thermograph.clock import Clock

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
