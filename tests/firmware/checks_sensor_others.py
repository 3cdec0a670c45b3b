"""DHT22, thermistors, MAX31855, and what all drivers share; on CPython and on MicroPython."""

from errno import ENODEV, ETIMEDOUT
from math import exp

from thermograph.sensors.dht22 import DHT22
from thermograph.sensors.driver import Driver, Fault, signed
from thermograph.sensors.max31855 import MAX31855, TYPES, Selected
from thermograph.sensors.ntc import NTC, Beta, SteinhartHart
from thermograph.sensors.simulated import Fridge, Simulated
from thermograph.sensors.stuck import READINGS, SPAN, Stuck

from sensor_buses import Clock, Random, is_sound, near

# -- DHT22


class Humid:
    """A DHT22: answers with the measurement before, and measures then. Notes when it was asked."""

    def __init__(self, clock, *measurements):
        self.clock = clock
        self.asked = []
        self.errors = []
        self._next = bytes(5)
        self.measurements = list(measurements)

    def __call__(self):
        self.asked.append(self.clock.now)
        if self.errors:
            error = self.errors.pop(0)
            if error:
                raise OSError(error)
        data, self._next = self._next, self.measurements[0]
        if len(self.measurements) > 1:
            self.measurements.pop(0)
        return data


def dht_frame(humidity, temperature):
    data = bytes((humidity >> 8, humidity & 0xFF, temperature >> 8, temperature & 0xFF))
    return data + bytes((sum(data) & 0xFF,))


def dht(*measurements):
    clock = Clock()
    chip = Humid(clock, *measurements)
    return chip, DHT22(chip, "cellar", clock), clock


def check_dht22_examples():
    # Manual, section 7: 65.2 %RH and 35.1 degrees; bit 15 set is -10.1 degrees (0x8065).
    example = b"\x02\x8c\x01\x5f\xee"
    assert dht_frame(652, 351) == example
    _, driver, _ = dht(example)
    assert driver.channels == [("cellar", "Cel"), ("cellar", "%RH")]
    near(driver.read(), (35.1, 65.2), 1e-9)
    for raw, celsius in ((0x8065, -10.1), (0x8000, 0), (0, 0), (1, 0.1), (0x8001, -0.1), (0x8190, -40), (800, 80)):
        _, driver, _ = dht(dht_frame(500, raw))
        near(driver.read(), (celsius, 50), 1e-9)
    # Two's complement: the frames of Tasmota issue 14165.
    for frame, celsius, percent in ((b"\x02\x33\xff\xf7\x2b", -0.9, 56.3), (b"\x02\x11\xff\xf1\x03", -1.5, 52.9)):
        _, driver, _ = dht(frame)
        near(driver.read(), (celsius, percent), 1e-9)


def check_dht22_is_fresh_and_asked_once_in_2_s():
    for interval in (1, 500, 1999, 2000, 3000, 60000):
        clock = Clock(0)
        chip = Humid(clock, *[dht_frame(100, number) for number in range(1, 100)])
        driver = DHT22(chip, "cellar", clock)
        begun = clock.now
        for number in range(6):
            clock.now = max(clock.now, begun + number * interval)
            asked = len(chip.asked)
            assert driver.start() <= 2000
            is_sound(driver, driver.read())
            assert len(chip.asked) - asked == (2 if interval == 60000 and number else 1)
        pairs = zip(chip.asked, chip.asked[1:])
        assert all([after - before >= 2000 for before, after in pairs]), (interval, chip.asked)
        assert chip.asked[0] >= 2000
        # What is read was measured when the chip was asked the time before, never long ago.
        if interval == 60000:
            assert all([after - before == 2000 for before, after in zip(chip.asked[1::2], chip.asked[2::2])])


def check_dht22_start_does_not_block():
    chip, driver, clock = dht(dht_frame(500, 200))
    assert driver.start() == 2000
    assert clock.paused == 0
    clock.now += 2000
    near(driver.read(), (20, 50), 1e-9)
    assert clock.paused == 0
    assert len(chip.asked) == 2


def check_dht22_faults():
    good = dht_frame(500, 200)
    chip, driver, clock = dht(good)
    for at in range(5):
        data = bytearray(good)
        data[at] ^= 8
        chip.measurements = [bytes(data)]
        clock.now += 10000
        assert driver.read() == [(None, "crc")] * 2
    for data in (bytes(5), b"\xff" * 5):
        chip.measurements = [data]
        clock.now += 10000
        assert driver.read() == [(None, "absent")] * 2
    chip.measurements = [good]
    for error, fault in ((ETIMEDOUT, "timeout"), (ENODEV, "absent")):
        clock.now += 10000
        chip.errors = [error, error]
        assert driver.read() == [(None, fault)] * 2
        clock.now += 10000
        chip.errors = [error]  # only the frame that is dropped: the next would be from long ago
        assert driver.read() == [(None, fault)] * 2
        clock.now += 10000
        near(driver.read(), (20, 50), 1e-9)
    for humidity, raw, faults in ((1001, 200, [None, "out-of-range"]), (500, 801, ["out-of-range", None])):
        chip.measurements = [dht_frame(humidity, raw)]
        clock.now += 10000
        assert [fault for _, fault in driver.read()] == faults
    clock.pause = lambda ms: None  # somebody cuts the wait short: the chip is left alone
    clock.now += 10000
    asked = len(chip.asked)
    assert driver.read() == [(None, "timeout")] * 2
    assert len(chip.asked) == asked + 1


# -- thermistors


class Divider:
    """The thermistor's ohms, seen by an ADC."""

    def __init__(self, ohms, series_ohms=10000, supply_uv=3300000, to_ground=True, end_uv=3300000, noise=None):
        share = ohms / (ohms + series_ohms)
        self._uv = min(end_uv, int(supply_uv * (share if to_ground else 1 - share) + 0.5))
        self._noise = noise

    def read_uv(self):
        if self._noise and self._noise.below(3) == 0:
            return self._noise.below(3300000)
        return self._uv


def thermistor(ohms, curve, **divider):
    own = {"to_ground": divider.get("to_ground", True)}
    if "series_ohms" in divider:
        own["series_ohms"] = divider["series_ohms"]
    own.setdefault("series_ohms", 10000)
    return NTC(Divider(ohms, **divider), "boiler", Clock(), curve, **own).read()


def check_beta():
    # By its definition: R25 is at 25 degrees, and B25/85 = 3977 K (Vishay NTCLE100E3103) makes 1070 ohm of 85.
    near([(Beta(10000, 3977).celsius(10000), None)], (25,), 1e-9)
    near([(Beta(10000, 3977).celsius(1070), None)], (85,), 0.02)
    for celsius in range(-40, 121, 20):
        ohms = 10000 * exp(3950 * (1 / (celsius + 273.15) - 1 / 298.15))
        near([(Beta(10000, 3950).celsius(ohms), None)], (celsius,), 1e-6)
    for to_ground in (True, False):
        near(thermistor(10000, Beta(10000, 3950), to_ground=to_ground), (25,), 0.001)
        near(thermistor(33621, Beta(10000, 3950), to_ground=to_ground), (0,), 0.01)


def check_steinhart_hart():
    # BetaTHERM 10K3A1: its coefficients and its table.
    curve = SteinhartHart(1.129241e-3, 2.341077e-4, 8.775468e-8)
    for ohms, celsius in (
        (32650.8, 0),
        (19903.5, 10),
        (12493.7, 20),
        (10000, 25),
        (5325.6, 40),
        (3601, 50),
        (1751.6, 70),
    ):
        near([(curve.celsius(ohms), None)], (celsius,), 0.05)
    near(thermistor(10000, curve, series_ohms=4700), (25,), 0.01)


def check_thermistor_open_short_and_out_of_range():
    curve = Beta(10000, 3950)
    for to_ground in (True, False):
        assert thermistor(1e12, curve, to_ground=to_ground) == [(None, "absent")]
        assert thermistor(0, curve, to_ground=to_ground) == [(None, "out-of-range")]
    # An ESP32's ADC ends at 3.1 V: open, and not 36 degrees below zero.
    assert thermistor(1e12, curve, end_uv=3100000) == [(None, "absent")]
    divider = Divider(1e12, supply_uv=1000000)
    assert NTC(divider, "boiler", Clock(), curve, 10000, supply_uv=1000000).read() == [(None, "absent")]
    assert thermistor(150, curve, series_ohms=1000) == [(None, "out-of-range")]  # 162 degrees
    assert thermistor(10000, SteinhartHart(0, 0, 0)) == [(None, "out-of-range")]
    assert thermistor(10000, SteinhartHart(0, 0, 1e30))[0][1] == "out-of-range"


def check_thermistor_noise_and_dead_adc():
    for seed in range(20):
        result = thermistor(10000, Beta(10000, 3950), noise=Random(seed))
        assert len(result) == 1 and result[0][1] in (None, "absent", "out-of-range")

    class Dead:
        def read_uv(self):
            raise OSError(ETIMEDOUT)

    assert NTC(Dead(), "boiler", Clock(), Beta(10000, 3950), 10000).read() == [(None, "timeout")]


# -- MAX31855


class Shift:
    """SPI: 32 bits, most significant first."""

    def __init__(self, value=0):
        self.value = value

    def readinto(self, buffer):
        for at in range(4):
            buffer[at] = self.value >> (24 - 8 * at) & 0xFF


# Tables 4 and 5.
THERMOCOUPLE = (
    (1600, 0b01100100000000),
    (1000, 0b00111110100000),
    (100.75, 0b00000110010011),
    (25, 0b00000001100100),
    (0, 0),
    (-0.25, 0b11111111111111),
    (-1, 0b11111111111100),
    (-250, 0b11110000011000),
)
JUNCTION = (
    (127, 0b011111110000),
    (100.5625, 0b011001001001),
    (25, 0b000110010000),
    (0, 0),
    (-0.0625, 0b111111111111),
    (-1, 0b111111110000),
    (-20, 0b111011000000),
    (-55, 0b110010010000),
)


def couple(value, type="K"):
    return MAX31855(Shift(value), "oven", Clock(), type)


def check_max31855_tables():
    assert couple(0).channels == [("oven", "Cel"), ("oven-chip", "Cel")]
    for celsius, raw in THERMOCOUPLE:
        type = "T" if celsius < -200 else "R" if celsius > 1000 else "K"
        assert couple(raw << 18 | 0x1900, type).read() == [(celsius, None), (25, None)]
    for celsius, raw in JUNCTION:
        wanted = (celsius, None) if celsius <= 125 else (None, "out-of-range")
        assert couple(0x01900000 | raw << 4).read() == [(25, None), wanted]


def check_max31855_faults():
    for bits, fault in ((1, "absent"), (2, "out-of-range"), (4, "out-of-range"), (3, "absent")):
        assert couple(0x01911900 | bits).read() == [(None, fault), (25, None)]
    for value in (0x01901901, 0x01911900, 0x01921900, 0x01901908):  # flags that do not fit, zeros that are none
        assert couple(value).read() == [(None, "crc")] * 2
    for value in (0, 0xFFFFFFFF):
        assert couple(value).read() == [(None, "absent")] * 2
    for type, (low, high) in TYPES.items():
        for celsius, good in ((low, True), (high, True), (low - 1, False), (high + 1, False)):
            value, fault = couple((celsius * 4 & 0x3FFF) << 18 | 0x1900, type).read()[0]
            assert (value, fault) == ((celsius, None) if good else (None, "out-of-range"))
    random = Random(9)
    for _ in range(500):
        driver = couple(random.below(65536) << 16 | random.below(65536))
        is_sound(driver, driver.read())


def check_selected_holds_the_line_while_it_reads():
    log = []

    class SPI:
        def readinto(self, buffer):
            log.append("read")
            raise OSError(ETIMEDOUT)

    driver = MAX31855(Selected(SPI(), log.append), "oven", Clock())
    assert driver.read() == [(None, "timeout")] * 2
    assert log == [1, 0, "read", 1]


# -- what all share


class Odd(Driver):
    """Gives what it is told."""

    limits = ((-10, 10),)

    def __init__(self, clock, measured):
        Driver.__init__(self, clock, [("odd", "Cel")])
        self.measured = measured

    def _measure(self):
        if isinstance(self.measured, Exception):
            raise self.measured
        return [(self.measured, None)]


def check_no_value_is_nan_or_beyond():
    for value in (float("nan"), float("inf"), float("-inf"), 10.5, -11):
        assert Odd(Clock(), value).read() == [(None, "out-of-range")]
    assert Odd(Clock(), 10).read() == [(10, None)]


def check_what_buses_raise():
    cases = [
        (OSError(ETIMEDOUT), "timeout"),
        (OSError(ENODEV), "absent"),
        (OSError(5), "absent"),
        (OSError(), "absent"),
    ]
    cases.append((Fault("crc"), "crc"))
    for error, fault in cases:
        assert Odd(Clock(), error).read() == [(None, fault)]


def check_default_start_is_ready_at_once():
    clock = Clock()
    driver = Odd(clock, 1)
    assert driver.start() == 0
    assert driver.read() == driver.read() == [(1, None)]
    assert clock.paused == 0
    simulated = Simulated(Fridge(clock), "28")
    assert simulated.start() == 0
    assert simulated.read()[0][1] is None


def check_stuck_rule():
    clock = Clock()
    stuck = Stuck(clock)
    for count in range(1, 100):
        assert stuck.seen(5) == (count >= READINGS and (count - 1) * 60000 >= SPAN), count
        clock.now += 60000
    assert not stuck.seen(6)
    assert not stuck.seen(5)


def check_signed():
    assert [signed(raw, 4) for raw in (0, 7, 8, 15)] == [0, 7, -8, -1]
