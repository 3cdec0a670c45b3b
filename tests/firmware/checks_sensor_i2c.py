"""The drivers of chips on I2C; on CPython and on MicroPython."""

import struct

from thermograph.sensors import bme280, lm75, mcp9808
from thermograph.sensors.bme280 import BME280
from thermograph.sensors.crc import sensirion
from thermograph.sensors.mcp9808 import MCP9808
from thermograph.sensors.sht3x import SHT3x
from thermograph.sensors.sht4x import SHT4x
from thermograph.sensors.stuck import READINGS, SPAN

from sensor_buses import I2C, Bosch, Clock, NoisyI2C, OneShot, Random, Sensirion, Words, is_sound, near

# SBOS397, table 5; SLLS648D, table 5 is the same.
TABLE_12 = (
    (127.9375, 0x7FF),
    (100, 0x640),
    (80, 0x500),
    (75, 0x4B0),
    (50, 0x320),
    (25, 0x190),
    (0.25, 0x004),
    (0, 0x000),
    (-0.25, 0xFFC),
    (-25, 0xE70),
    (-55, 0xC90),
)
# SBOS397, table 6.
TABLE_13 = (
    (150, 0x0960),
    (128, 0x0800),
    (127.9375, 0x07FF),
    (100, 0x0640),
    (0.25, 0x0004),
    (0, 0x0000),
    (-0.25, 0x1FFC),
    (-25, 0x1E70),
    (-55, 0x1C90),
)
# STLM75, table 3; LM75B, table 10.
TABLE_9 = ((125, 0x0FA), (25, 0x032), (0.5, 0x001), (0, 0), (-0.5, 0x1FF), (-25, 0x1CE), (-40, 0x1B0), (-55, 0x192))
TABLE_11 = ((127, 0x3F8), (125, 0x3E8), (25, 0x0C8), (0.125, 1), (0, 0), (-0.125, 0x7FF), (-25, 0x738), (-55, 0x648))


def word(raw):
    return struct.pack(">H", raw)


def check_lm75_tables():
    for bits, table in ((9, TABLE_9), (11, TABLE_11), (12, TABLE_12)):
        for celsius, raw in table:
            assert lm75.celsius(word(raw << (16 - bits)), bits) == celsius, (bits, celsius)
    for celsius, raw in TABLE_13:
        assert lm75.celsius(word(raw << 3 | 1), 13) == celsius


def check_tmp102():
    for extended, table, shift in ((False, TABLE_12, 4), (True, TABLE_13, 3)):
        for celsius, raw in table:
            clock = Clock()
            chip = OneShot(clock, word(raw << shift | extended))
            driver = lm75.TMP102(I2C({0x48: chip}), 0x48, "tmp102-48", clock, extended)
            assert driver.channels == [("tmp102-48", "Cel")]
            wanted = (None, "out-of-range") if celsius > (150 if extended else 125) else (celsius, None)
            assert driver.read() == [wanted], (extended, celsius)


def check_tmp102_faults():
    clock = Clock()
    chip = OneShot(clock, word(0x1900))
    bus = I2C({0x48: chip})
    driver = lm75.TMP102(bus, 0x48, "tmp102-48", clock)
    for _ in range(3):
        assert driver.start() == 35
        clock.now += 10
        chip.power_on()  # shows 0 degrees now
        clock.now += 25
        assert driver.read() == [(None, "power-on")]
        assert driver.read() == [(25, None)]
    chip.takes = 60
    assert driver.read() == [(None, "timeout")]
    chip.takes = 26
    chip.temperature = b"\x00\x00"
    clock.now += 60
    assert driver.read() == [(0, None)]
    goes_and_comes(driver, bus, 0x48, (0, None))


def check_tmp105():
    for celsius, raw in TABLE_12[1:]:
        clock = Clock()
        chip = OneShot(clock, word(raw << 4), has_os=False)
        bus = I2C({0x49: chip})
        driver = lm75.TMP105(bus, 0x49, "tmp105-49", clock)
        assert driver.read() == [(celsius, None)]
        driver.start()
        chip.power_on()
        assert driver.read() == [(None, "power-on")]
        assert driver.read() == [(celsius, None)]
        goes_and_comes(driver, bus, 0x49, (celsius, None))


def check_lm75():
    for bits, table in ((9, TABLE_9), (11, TABLE_11[1:])):
        for celsius, raw in table:
            clock = Clock()
            chip = Words({0: word(raw << (16 - bits)), 1: b"\x00"})
            bus = I2C({0x4F: chip})
            driver = lm75.LM75(bus, 0x4F, "lm75-4f", clock, bits)
            assert driver.start() == 300
            assert driver.read() == [(celsius, None)]
            assert driver.start() == 0
            chip.power_on()
            assert driver.read() == [(None, "power-on")]
            assert driver.read() == [(celsius, None)]
            goes_and_comes(driver, bus, 0x4F, (celsius, None))


def check_mcp9808():
    # Figure 5-5 reads +25.25 degrees; the rest by equation 5-1. Bits 15 to 13 are the alerts'.
    table = (
        (25.25, 0xC194),
        (25.25, 0x0194),
        (0, 0),
        (-0.0625, 0x1FFF),
        (-0.0625, 0x3FFF),
        (-40, 0x1D80),
        (125, 0x07D0),
    )
    for celsius, raw in table:
        assert mcp9808.celsius(raw) == celsius
        clock = Clock()
        chip = Words({1: b"\x00\x00", 5: word(raw), 6: b"\x00\x54", 7: b"\x04\x00"})
        bus = I2C({0x18: chip})
        driver = MCP9808(bus, 0x18, "mcp9808-18", clock)
        assert driver.start() == 300
        assert driver.read() == [(celsius, None)]
        assert driver.start() == 0
        chip.power_on()
        assert driver.read() == [(None, "power-on")]
        assert driver.read() == [(celsius, None)]
        goes_and_comes(driver, bus, 0x18, (celsius, None))
    chip.registers[5] = b"\x07\xd1"
    assert driver.read() == [(None, "out-of-range")]


def goes_and_comes(driver, bus, address, wanted):
    """Absent and hanging, before and after start(), and there again."""
    count = len(driver.channels)
    chip = bus.chips.pop(address)
    assert driver.read() == [(None, "absent")] * count
    assert driver.start() == 0
    assert driver.read() == [(None, "absent")] * count
    bus.chips[address] = chip
    bus.hangs = True
    assert driver.read() == [(None, "timeout")] * count
    bus.hangs = False
    driver.start()
    bus.hangs = True
    assert driver.read() == [(None, "timeout")] * count
    bus.hangs = False
    driver.start()
    del bus.chips[address]
    assert driver.read() == [(None, "absent")] * count
    bus.chips[address] = chip
    driver.read()
    assert driver.read()[0] == wanted


# -- SHT3x, SHT4x


def sht_answer(*raws):
    data = b""
    for raw in raws:
        data += word(raw) + bytes([sensirion(word(raw))])
    return data


def sht3x(*raws):
    clock = Clock()
    answers = {b"\x24\x00": sht_answer(*raws), b"\xf3\x2d": sht_answer(0x8010), b"\x37\x80": sht_answer(1, 2)}
    chip = Sensirion(clock, b"\x24\x00", 15, answers)
    bus = I2C({0x44: chip})
    return chip, bus, SHT3x(bus, 0x44, "sht3x-44", clock), clock


def sht4x(*raws):
    clock = Clock()
    chip = Sensirion(clock, b"\xfd", 8, {b"\xfd": sht_answer(*raws), b"\x89": sht_answer(0x1234, 0x5678)})
    bus = I2C({0x44: chip})
    return chip, bus, SHT4x(bus, 0x44, "sht4x-44", clock), clock


def check_sensirion_crc():
    # SHT3x, table 20, and SHT4x, 4.4: CRC (0xBEEF) = 0x92.
    assert sensirion(b"\xbe\xef") == 0x92
    assert sensirion(b"\x00\x00") == 0x81
    assert sensirion(b"") == 0xFF


def check_sht_formulas():
    # 4.13 and 4.6: the ends of the scale, and a fifth of it, by hand.
    for make, ends, fifth in ((sht3x, (0, 100), 20), (sht4x, (0, 100), 19)):
        # raw temperature such that the result stays in the chip's range: 0x1FFF is -23.1 degrees
        _, _, driver, _ = make(65535 // 5, 65535 // 5)
        near(driver.read(), (-10, fifth), 1e-9)
        _, _, driver, _ = make(0x8000, 0)
        near(driver.read(), (-45 + 175 * 32768 / 65535, ends[0]), 1e-9)
        _, _, driver, _ = make(0x8000, 65535)
        near(driver.read(), (42.50133516, ends[1]), 1e-6)
        for raw in (0, 0xFFFF):
            _, _, driver, _ = make(raw, 0x8000)
            assert driver.read()[0] == (None, "out-of-range")
            assert driver.read()[1][1] is None


def check_sht4x_example():
    # The driver example of Sensirion's embedded-i2c-sht4x: 0x6666 is 25 degrees, and 0x72B0 50 %RH.
    _, _, driver, _ = sht4x(0x6666, 0x72B0)
    near(driver.read(), (25.0, 50.0), 0.002)


def check_sht_faults():
    for make, wait in ((sht3x, 16), (sht4x, 9)):
        chip, bus, driver, clock = make(0x6666, 0x8000)
        good = driver.read()
        near(good[:1], (25,), 1e-3)
        assert driver.channels[0][1] == "Cel" and driver.channels[1][1] == "%RH"
        assert driver.start() == wait
        good_data = chip.answers[chip.measure]
        for at in range(6):
            data = bytearray(good_data)
            data[at] ^= 0x10
            chip.answers[chip.measure] = bytes(data)
            assert driver.read() == [(None, "crc")] * 2
        for data in (b"\x00" * 6, b"\xff" * 6):
            chip.answers[chip.measure] = data
            assert driver.read() == [(None, "absent")] * 2
        chip.answers[chip.measure] = good_data
        driver.start()
        chip.takes, takes = 50, chip.takes
        driver.start()
        assert driver.read() == [(None, "timeout")] * 2  # the chip is there and has nothing
        chip.takes = takes
        clock.now += 50
        assert driver.read() == good
        assert not chip.heated
        goes_and_comes(driver, bus, 0x44, good[0])


def check_stuck_is_told_from_steady():
    chip, _, driver, clock = sht3x(0x6666, 0x8000)
    good = driver.read()
    for _ in range(2 * READINGS):  # often, but not for long
        clock.now += SPAN // 10 // (2 * READINGS)
        assert driver.read() == good
    clock.now += SPAN
    assert driver.read() == [(None, "stuck")] * 2
    chip.answers[chip.measure] = sht_answer(0x6667, 0x8000)
    result = driver.read()
    assert result[0][1] is None and result[1] == (None, "stuck")
    chip.answers[chip.measure] = sht_answer(0x6666, 0x8001)
    assert [fault for _, fault in driver.read()] == [None, None]
    for _ in range(READINGS - 2):  # for long, but not often
        clock.now += SPAN
        assert driver.read()[1][1] is None
    clock.now += SPAN
    assert driver.read()[1] == (None, "stuck")


# -- BME280, BMP280

# BST-BMP280-DS001, 3.12: the worked example; humidity's six are typical of a BME280.
TRIM = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000, 75, 362, 0, 313, 50, 30)
RAW_T, RAW_P, RAW_H = 519888, 415148, 29000


def calibration(trim=TRIM):
    h1, h2, h3, h4, h5, h6 = trim[12:]
    shared = (h4 & 0x0F) | (h5 & 0x0F) << 4
    return {
        0x88: struct.pack("<HhhHhhhhhhhh", *trim[:12]),
        0xA1: bytes((h1,)),
        0xE1: struct.pack("<hBbBbb", h2, h3, h4 >> 4, shared, h5 >> 4, h6),
    }


def bosch_data(pressure, temperature, humidity):
    return bytes([
        pressure >> 12, pressure >> 4 & 0xFF, pressure << 4 & 0xF0,
        temperature >> 12, temperature >> 4 & 0xFF, temperature << 4 & 0xF0,
        humidity >> 8, humidity & 0xFF,
    ])  # fmt: skip


def bosch(id=0x60, trim=TRIM, raws=(RAW_P, RAW_T, RAW_H)):
    clock = Clock()
    chip = Bosch(clock, id, calibration(trim), bosch_data(*raws))
    bus = I2C({0x76: chip})
    return chip, bus, BME280(bus, 0x76, "bme280-76", clock, humidity=id == 0x60), clock


def in_doubles(trim, raw_t, raw_p, raw_h):
    """Degrees, Pa, %RH: the datasheet's other form, 8.1, "compensation formulas in double precision floating point"."""
    t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, h1, h2, h3, h4, h5, h6 = trim
    x = raw_t / 16384.0 - t1 / 1024.0
    y = raw_t / 131072.0 - t1 / 8192.0
    fine = x * t2 + y * y * t3
    a = fine / 2 - 64000.0
    b = a * a * p6 / 32768.0
    b = b + a * p5 * 2
    b = b / 4 + p4 * 65536.0
    a = (p3 * a * a / 524288.0 + p2 * a) / 524288.0
    a = (1 + a / 32768.0) * p1
    p = (1048576.0 - raw_p - b / 4096.0) * 6250 / a
    p += (p9 * p * p / 2147483648.0 + p * p8 / 32768.0 + p7) / 16
    h = fine - 76800.0
    h = (raw_h - (h4 * 64 + h5 / 16384.0 * h)) * (h2 / 65536.0 * (1 + h6 / 67108864.0 * h * (1 + h3 / 67108864.0 * h)))
    return fine / 5120, p, min(100, max(0, h * (1 - h1 * h / 524288.0)))


def check_bosch_worked_example():
    fine, celsius_100 = bme280.compensate_temperature(TRIM, RAW_T)
    assert (fine, celsius_100) == (128422, 2508)
    # The example has 100653.27 Pa in double precision, 100653 Pa in 64 bits.
    assert abs(bme280.compensate_pressure(TRIM, RAW_P, fine) / 256 - 100653.27) < 0.05
    _, _, driver, _ = bosch(id=0x58)
    assert driver.channels == [("bme280-76", "Cel"), ("bme280-76", "Pa")]
    near(driver.read(), (25.08, 100653.27), 0.05)


def check_bosch_integers_equal_the_doubles():
    typical = TRIM[12:]
    others = (typical, (0, 362, 127, 313, -50, 127), (75, 362, 255, 313, 50, -128), (255, 500, 3, -300, 700, 30))
    inside = 0
    for humidity in others:
        trim = TRIM[:12] + humidity
        for raw_t in range(400000, 620000, 19999):
            for raw_p in range(300000, 700000, 49999):
                raw_h = 20000 + raw_p // 40
                celsius, pascal, percent = in_doubles(trim, raw_t, raw_p, raw_h)
                fine, celsius_100 = bme280.compensate_temperature(trim, raw_t)
                assert abs(celsius_100 / 100 - celsius) < 0.011
                assert abs(bme280.compensate_pressure(trim, raw_p, fine) / 256 - pascal) < 1.5
                assert abs(bme280.compensate_humidity(trim, raw_h, fine) / 1024 - percent) < 0.03
                inside += 1 < percent < 99
    assert inside > 200


def check_bme280_humidity_ends_at_0_and_100():
    fine = bme280.compensate_temperature(TRIM, RAW_T)[0]
    assert bme280.compensate_humidity(TRIM, 0, fine) == 0
    assert bme280.compensate_humidity(TRIM, 65535, fine) == 100 * 1024


def check_bosch_uses_all_bits():
    for raw_t, raw_p in ((0x7EEDF, 0x655AF), (0x7EED1, 0x655A1), (0x7E0D0, 0x65FAC)):
        _, _, driver, _ = bosch(raws=(raw_p, raw_t, 0x71FF))
        result = driver.read()
        for at, right in enumerate(in_doubles(TRIM, raw_t, raw_p, 0x71FF)):
            near(result[at : at + 1], (right,), (0.02, 0.5, 0.02)[at])


def check_stuck_bme280():
    chip, _, driver, clock = bosch()
    for _ in range(READINGS):
        result = driver.read()
        clock.now += SPAN // 10
    assert [fault for _, fault in result] == ["stuck"] * 3
    chip.data = bosch_data(RAW_P + 16, RAW_T, RAW_H)
    assert [fault for _, fault in driver.read()] == ["stuck", None, "stuck"]


def check_bosch_trim_is_unpacked():
    parts = calibration()
    assert bme280.unpack_trim(parts[0x88] + parts[0xA1] + parts[0xE1]) == TRIM
    for h4, h5 in ((-2048, 2047), (2047, -2048), (-1, -1), (1, -16), (-16, 1)):
        extreme = (h4, h5, -128)
        trim = TRIM[:15] + extreme
        parts = calibration(trim)
        assert bme280.unpack_trim(parts[0x88] + parts[0xA1] + parts[0xE1]) == trim


def check_bme280():
    _, bus, driver, clock = bosch()
    assert driver.channels == [("bme280-76", unit) for unit in ("Cel", "Pa", "%RH")]
    assert driver.start() == 10
    assert clock.paused == 0
    result = driver.read()
    celsius, pascal, percent = in_doubles(TRIM, RAW_T, RAW_P, RAW_H)
    assert 20 < percent < 80
    near(result, (celsius, pascal, percent), 0.05)
    goes_and_comes(driver, bus, 0x76, result[0])


def check_bme280_faults():
    chip, _, driver, clock = bosch()
    good = driver.read()
    driver.start()
    chip.power_on()
    assert driver.read() == [(None, "power-on")] * 3
    assert driver.read() == good
    chip.takes = 20
    assert driver.read() == [(None, "timeout")] * 3
    clock.now += 20
    chip.takes = 9
    # 80000h, the reset value, is also a temperature that is measured: 26.4 degrees here.
    chip.data = bosch_data(RAW_P, 0x80000, RAW_H)
    result = driver.read()
    assert result[0][1] is None and 26 < result[0][0] < 27, result
    # The coldest and hottest bits are no temperature, and then nothing is worth its compensation.
    for raw in (0, 0xFFFFF):
        chip.data = bosch_data(RAW_P, raw, RAW_H)
        assert driver.read() == [(None, "out-of-range")] * 3
    chip.data = bosch_data(0xFFFFF, RAW_T, RAW_H)
    result = driver.read()
    assert result[1] == (None, "out-of-range") and result[0] == good[0]


def check_bme280_trim_is_read_twice_and_again_after_a_fault():
    chip, bus, driver, clock = bosch()
    read, calls = chip.read, []

    def disturbed(size):
        data = read(size)
        calls.append(size)
        if size == 24 and calls.count(24) == 2:
            return bytes((data[0] ^ 4,)) + data[1:]
        return data

    chip.read = disturbed
    assert driver.read() == [(None, "crc")] * 3
    near(driver.read()[:1], (25.08,), 1e-9)
    driver.read()
    assert calls.count(24) == 4  # and kept while all is well
    # Another chip at the same place: its own trim.
    other_trim = (27000,) + TRIM[1:]  # noqa: RUF005 (MicroPython)
    bus.chips[0x76] = other = Bosch(clock, 0x60, calibration(other_trim), chip.data)
    assert other.memory[0xF4] == 0
    driver.start()
    other.power_on()
    assert driver.read() == [(None, "power-on")] * 3
    result = driver.read()
    assert result[0][1] is None and abs(result[0][0] - 25.08) > 1
    chip, _, driver, _ = bosch()
    chip.memory[0xF3] = 1  # im_update stays
    assert driver.read() == [(None, "power-on")] * 3


def check_uncalibrated_chip_is_out_of_range():
    for trim in ((0,) * 18, (65535, -1, -1, 0, -1, -1, -1, -1, -1, -1, -1, -1, 255, -1, 255, -1, -1, -1)):
        _, _, driver, _ = bosch(trim=trim)
        result = driver.read()
        is_sound(driver, result)
        assert result[1] == (None, "out-of-range")


# -- noise


def check_noise_never_raises():
    clock, random = Clock(), Random(7)
    bus = NoisyI2C(random)
    drivers = [
        lm75.TMP102(bus, 0x48, "a", clock),
        lm75.TMP102(bus, 0x48, "b", clock, True),
        lm75.TMP105(bus, 0x48, "c", clock),
        lm75.LM75(bus, 0x48, "d", clock),
        lm75.LM75(bus, 0x48, "e", clock, 11),
        MCP9808(bus, 0x18, "f", clock),
        SHT3x(bus, 0x44, "g", clock),
        SHT4x(bus, 0x44, "h", clock),
        BME280(bus, 0x76, "i", clock),
        BME280(bus, 0x76, "j", clock, humidity=False),
    ]
    for _ in range(150):
        for driver in drivers:
            if random.below(2):
                driver.start()
            is_sound(driver, driver.read())


def check_noise_behind_a_right_checksum_never_raises():
    random = Random(5)
    for make in (sht3x, sht4x):
        chip, _, driver, _ = make(0, 0)
        for _ in range(100):
            chip.answers[chip.measure] = sht_answer(random.below(65536), random.below(65536))
            is_sound(driver, driver.read())
    for _ in range(100):
        trim = struct.unpack("<HhhHhhhhhhhhBhB", random.bytes(28))
        trim += (random.below(4096) - 2048, random.below(4096) - 2048, random.below(256) - 128)
        chip, _, driver, _ = bosch(trim=trim)
        chip.data = random.bytes(8)
        is_sound(driver, driver.read())
