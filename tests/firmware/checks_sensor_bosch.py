"""The driver of BME280 and BMP280; on CPython and on MicroPython."""

import struct

from thermograph.sensors import bme280, bme280_trim
from thermograph.sensors.bme280 import BME280
from thermograph.sensors.stuck import READINGS, SPAN

from checks_sensor_i2c import goes_and_comes
from sensor_buses import I2C, Bosch, Clock, is_sound, near

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
    assert bme280_trim.unpack_trim(parts[0x88] + parts[0xA1] + parts[0xE1]) == TRIM
    for h4, h5 in ((-2048, 2047), (2047, -2048), (-1, -1), (1, -16), (-16, 1)):
        extreme = (h4, h5, -128)
        trim = TRIM[:15] + extreme
        parts = calibration(trim)
        assert bme280_trim.unpack_trim(parts[0x88] + parts[0xA1] + parts[0xE1]) == trim


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
