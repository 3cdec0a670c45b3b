"""The drivers of chips on I2C; on CPython and on MicroPython."""

import struct

from thermograph.sensors import lm75, mcp9808
from thermograph.sensors.mcp9808 import MCP9808
from thermograph.sensors.sht import sensirion
from thermograph.sensors.sht3x import SHT3x
from thermograph.sensors.sht4x import SHT4x
from thermograph.sensors.stuck import READINGS, SPAN

from sensor_buses import I2C, Clock, OneShot, Sensirion, Words, near

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
