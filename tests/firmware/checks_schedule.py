"""Schedule and Sampler on virtual time: no drift, no double, no famine, no fake; on CPython and on MicroPython."""

from thermograph.clock import Clock
from thermograph.sampling import Sampler, median
from thermograph.schedule import Schedule

from nor import Random
from virtual import START, Crash, Fixed, Time, World


def times(schedule, world, clock, until, step=7, on_step=None):
    """True times of all samples; the loop looks each `step` ms."""
    found = []
    while world.now < until:
        if on_step:
            on_step()
        if schedule.due(clock.uptime()):
            found.append(world.now)
        world.now += min(step, max(1, schedule.wait(clock.uptime())))
    return found


def made(interval, start=START, off=0):
    world = World(start)
    time = Time(world, off)
    clock = Clock(time, "ntp")
    return world, time, clock, Schedule(interval, clock)


def check_slots_lie_on_whole_intervals_of_the_clock():
    world, time, clock, schedule = made(60000, START + 12345)
    found = times(schedule, world, clock, START + 600000, 1000)
    assert found == [START + 60000 * n for n in range(1, 10)]


def check_a_day_begins_at_midnight():
    world, time, clock, schedule = made(86400000, START + 12345)
    assert times(schedule, world, clock, START + 3 * 86400000, 3600000) == [START + 86400000, START + 2 * 86400000]


def check_without_a_clock_the_uptime_counts_and_the_first_is_at_once():
    world, time, clock, schedule = made(60000, START + 12345, None)
    found = times(schedule, world, clock, START + 200000, 1000)
    assert found == [START + 12345 + 60000 * n for n in range(4)]


def check_the_clock_comes_later():
    """Its grid is taken over; nobody samples twice for that."""
    world, time, clock, schedule = made(60000, START + 12345, None)
    first = times(schedule, world, clock, START + 200000, 1000)
    time.off = 0
    then = times(schedule, world, clock, START + 400000, 1000)
    assert [t % 60000 for t in then] == [0] * len(then)
    assert 30000 <= then[0] - first[-1] <= 90000


def check_late_is_late_and_missed_is_missed():
    world, time, clock, schedule = made(1000)
    found = []
    for at in (0, 7, 999, 1003, 1999, 2001, 5500, 5999, 6000):
        world.now = START + at
        if schedule.due(clock.uptime()):
            found.append(at)
    assert found == [0, 1003, 2001, 5500, 6000]
    assert schedule.missed == 2, schedule.missed


def check_steps_neither_double_nor_starve():
    """Steps of any size at any time, forth and back: from one sample to the next it is 0.5 to 1.5 intervals."""
    for seed in range(12):
        random = Random(seed)
        interval = (1000, 10000, 60000)[random(3)]
        world, time, clock, schedule = made(interval, START + random(interval))

        def step(random=random, time=time, interval=interval):
            if random(150) == 0:
                time.off += random(4 * interval) - 2 * interval + (random(3) - 1) * 86400000 * random(9)

        found = times(schedule, world, clock, START + 200 * interval, 97, step)
        spans = [b - a for a, b in zip(found[1:], found[2:])]
        assert min(spans) >= interval // 2 - 100, (seed, interval, min(spans))
        assert max(spans) <= interval * 3 // 2 + 1200, (seed, interval, max(spans))
        assert schedule.missed == 0


def check_a_new_interval_begins_at_once_and_fakes_nothing():
    world, time, clock, schedule = made(86400000)
    times(schedule, world, clock, START + 40000000, 50000)
    schedule.set_interval(10000)
    found = times(schedule, world, clock, START + 40100000, 1000)
    assert found == [START + 40000000 + 10000 * n for n in range(10)] and schedule.missed == 0


# -- the round


def rounds(sensors, oversample=1, count=1, world=None):
    """What is kept, and the errors."""
    world = world or World()
    clock = Clock(Time(world), "ntp")
    kept, errors = [], []
    sampler = Sampler(sensors, clock, kept.append, errors.append)
    sampler.oversample = oversample
    for _ in range(count):
        sampler.begin()
        while True:
            spare = sampler.step(clock.uptime())
            if spare is None:
                break
            world.now += spare
    assert not sampler.busy
    return kept, errors


def check_a_slow_sensor_is_waited_for_without_blocking_and_dated_at_its_start():
    world = World()
    slow, quick = Fixed("a", ready=750), Fixed("b", (1.5,))
    kept, errors = rounds([slow, quick], world=world)
    assert [(one.sensor, one.value, one.t - START) for one in kept] == [("a", 4.5, 0), ("b", 1.5, 0)]
    assert world.now == START + 750 and not errors


def check_oversampling_takes_the_median():
    kept, errors = rounds([Fixed("a", (4.0, 85.0, 5.0, -3.0, 4.25), 10)], oversample=5)
    assert [one.value for one in kept] == [4.25]


def check_a_fault_is_one_only_if_most_are():
    assert median([(4.5, None), (None, "crc"), (4.0, None)]) == (4.0, None)
    assert median([(4.5, None), (None, "crc")]) == (4.5, None)
    assert median([(4.5, None), (None, "crc"), (None, "absent"), (None, "crc")]) == (None, "crc")
    assert median([(float("nan"), None)]) == (None, "out-of-range")
    assert median([(1e31, None), (4.5, None), (float("-inf"), None)]) == (None, "out-of-range")
    assert median([(None, "stuck")]) == (None, "stuck")


def check_a_driver_that_raises_is_a_fault_and_does_not_end_the_others():
    kept, errors = rounds([Fixed("a", (Crash("boom"), 4.5)), Fixed("b", (1.5,))], count=2)
    assert [(one.sensor, one.value, one.fault) for one in kept] == [
        ("a", None, "error"),
        ("b", 1.5, None),
        ("a", 4.5, None),
        ("b", 1.5, None),
    ]
    assert [str(error) for error in errors] == ["boom"]
