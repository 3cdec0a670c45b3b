"""DS18B20 and the ROM search, on a 1-Wire line modelled bit by bit; on CPython and on MicroPython."""

from thermograph.sensors import rom
from thermograph.sensors.driver import crc8
from thermograph.sensors.ds18b20 import DS18B20

from sensor_buses import Clock, Random, Thermometer, Wire, is_sound, maxim_crc, rom_of
from sensor_noise import NoisyWire

ROM = rom_of("28ff641e8216c3")
# Datasheet, table 1.
TABLE = (
    (125, 0x07D0),
    (85, 0x0550),
    (25.0625, 0x0191),
    (10.125, 0x00A2),
    (0.5, 0x0008),
    (0, 0x0000),
    (-0.5, 0xFFF8),
    (-10.125, 0xFF5E),
    (-25.0625, 0xFE6F),
    (-55, 0xFC90),
)


def fitted(**chip):
    clock = Clock()
    one = Thermometer(clock, ROM, **chip)
    wire = Wire(one)
    return one, wire, DS18B20(wire, ROM, clock), clock


def check_crc_equals_the_shift_register_of_the_application_note():
    # Application note 27's example: family code 02h, serial 000000B81C; its CRC is A2h.
    assert crc8(b"\x02\x1c\xb8\x01\x00\x00\x00") == maxim_crc(b"\x02\x1c\xb8\x01\x00\x00\x00") == 0xA2
    random = Random(3)
    for size in range(9):
        data = random.bytes(size)
        assert crc8(data) == maxim_crc(data)
        assert crc8(data + bytes([maxim_crc(data)])) == 0


def check_table_1():
    for celsius, raw in TABLE:
        chip, _, driver, _ = fitted(raw=0x0100)
        assert driver.channels == [(rom.name(ROM), "Cel")]
        assert driver.read() == [(16.0, None)]
        chip.raw = raw
        assert driver.read() == [(celsius, None)], (celsius, driver.read())


def check_conversion_does_not_block_and_read_waits_for_what_is_missing():
    _, _, driver, clock = fitted()
    assert driver.start() == 750
    assert clock.paused == 0
    clock.now += 750
    assert driver.read() == [(25.0625, None)]
    assert clock.paused == 0
    driver.start()
    clock.now += 700
    assert driver.read() == [(25.0625, None)]
    assert clock.paused == 50
    assert driver.read() == [(25.0625, None)]
    assert clock.paused == 800


def check_lower_resolution_has_no_undefined_bits():
    chip, _, driver, _ = fitted(raw=0x0197)
    driver.start()
    driver.read()
    for config, raw in ((0x5F, 0x0196), (0x3F, 0x0194), (0x1F, 0x0190), (0x7F, 0x0197)):
        driver.start()
        chip.pad[4] = config
        assert driver.read() == [(raw / 16, None)]


def check_power_lost_in_the_conversion_is_no_85_degrees():
    chip, _, driver, clock = fitted()
    driver.read()
    driver.start()
    clock.now += 300
    chip.power_on()
    assert driver.read() == [(None, "power-on")]
    assert driver.read() == [(25.0625, None)]


def check_85_real_degrees_are_a_reading():
    for chip in ({}, {"genuine": False}, {"genuine": False, "overwritten": True}):
        one, _, driver, _ = fitted(raw=0x0551, **chip)
        assert driver.read() == [(85.0625, None)]
        one.raw = 0x0550
        assert driver.read() == driver.read() == [(85, None)], chip


def check_a_maxim_at_85_from_its_first_reading_on_is_a_reading():
    _, _, driver, _ = fitted(raw=0x0550)
    assert driver.read() == [(85, None)]


def check_a_clone_at_85_from_its_first_reading_on_waits_until_it_moves():
    for chip in ({"genuine": False}, {"genuine": False, "overwritten": True}):
        one, _, driver, _ = fitted(raw=0x0550, **chip)
        assert driver.read() == [(None, "power-on")]
        one.raw = 0x054F
        assert driver.read() == [(84.9375, None)]
        one.raw = 0x0550
        assert driver.read() == [(85, None)]


def check_a_chip_that_never_converts_shows_no_85_degrees():
    for chip in ({}, {"genuine": False}, {"genuine": False, "overwritten": True}):
        one, _, driver, _ = fitted(**chip)
        one.deaf = True
        assert driver.read() == driver.read() == [(None, "power-on")], chip


def check_no_other_byte_6_proves_a_conversion():
    for remain in (0x00, 0x01, 0x0C, 0x0F, 0x11, 0x20, 0x40, 0x7F, 0xF0, 0xFF):
        one, _, driver, clock = fitted(genuine=False, raw=0x0550)
        driver.start()
        clock.now += 750
        one.pad[6] = remain
        assert driver.read() == [(None, "power-on")], remain


def check_half_a_mark_is_none():
    for eeprom in (b"\x54\x46\x7f", b"\x4b\x47\x7f"):
        one, _, driver, _ = fitted(genuine=False, eeprom=eeprom, at_start=0x0190)
        driver.read()
        driver.start()
        one.power_on()
        assert driver.read() == [(None, "power-on")]


def check_a_clone_that_starts_at_25_degrees_is_found_out():
    # Family D: 25 degrees after power-on, TH and TL 55h and 05h.
    one, _, driver, clock = fitted(genuine=False, at_start=0x0190, eeprom=b"\x55\x05\x7f")
    assert driver.read() == [(25.0625, None)]
    driver.start()
    clock.now += 300
    one.power_on()
    assert driver.read() == [(None, "power-on")]
    assert driver.read() == [(25.0625, None)]


def check_the_mark_is_in_the_scratchpad_only():
    chip, _, driver, _ = fitted()
    driver.read()
    assert bytes(chip.pad[2:5]) == b"\x54\x47\x7f"
    chip.power_on()
    assert bytes(chip.pad[2:5]) == b"\x4b\x46\x7f"


def check_a_failed_conversion_is_out_of_range():
    chip, _, driver, _ = fitted()
    driver.read()
    for raw in (0x07FF, 0x07D1, 0xFC8F, 0x8000):
        chip.raw = raw
        assert driver.read() == [(None, "out-of-range")]


def check_a_disturbed_bit_is_read_again_and_a_disturbed_line_is_named():
    _, wire, driver, _ = fitted()
    driver.read()
    wire.slots, wire.flips = 0, (5,)
    assert driver.read() == [(25.0625, None)]
    for flips in ((5, 77), (1, 80), (40, 144), (72, 73)):
        driver.read()
        wire.slots, wire.flips = 0, flips
        assert driver.read() == [(None, "crc")], flips
    wire.flips = ()
    assert driver.read() == [(25.0625, None)]


def check_absent_unplugged_and_shorted():
    chip, wire, driver, clock = fitted()
    other = Thermometer(clock, rom_of("28000000000001"))
    chip.plugged = False
    assert driver.read() == [(None, "absent")]
    wire.chips.append(other)  # somebody answers the reset, but not this one
    assert driver.read() == [(None, "absent")]
    chip.plugged = True
    assert driver.read() == [(25.0625, None)]
    driver.start()
    chip.plugged = False
    assert driver.read() == [(None, "absent")]
    chip.plugged = True
    driver.start()
    wire.shorted = True
    assert driver.read() == [(None, "absent")]
    wire.shorted = False
    assert driver.read() == [(25.0625, None)]


def check_many_on_one_bus_convert_together():
    clock = Clock()
    ids = [rom_of("28%012x" % (number * 0x3579BDF1)) for number in range(1, 9)]
    chips = [Thermometer(clock, id, raw=16 * number) for number, id in enumerate(ids)]
    wire = Wire(*chips)
    drivers = [DS18B20(wire, id, clock) for id in ids]
    assert [driver.start() for driver in drivers] == [750] * 8
    clock.now += 750
    assert [driver.read() for driver in drivers] == [[(number, None)] for number in range(8)]
    assert clock.paused == 0


def check_search_finds_all():
    random = Random(11)
    for count in (0, 1, 2, 3, 17):
        ids = [rom_of("28" + "".join(["%02x" % byte for byte in random.bytes(6)])) for _ in range(count)]
        wire = Wire(*[Thermometer(Clock(), id) for id in ids])
        assert sorted(rom.search(wire)) == sorted(ids)


def check_search_finds_ids_that_differ_in_one_bit():
    ids = [rom_of("28%012x" % value) for value in (0, 1, 1 << 47, 3, 1 << 24)]
    ids += [rom_of("10%012x" % 1), rom_of("22%012x" % 1), rom_of("29%012x" % 1)]
    assert sorted(rom.search(Wire(*[Thermometer(Clock(), id) for id in ids]))) == sorted(ids)


def check_search_names_nobody_who_is_not_there():
    ids = [rom_of("28%012x" % value) for value in (5, 77, 1 << 40)]
    for slot in range(1, 3 * 128, 7):
        wire = Wire(*[Thermometer(Clock(), id) for id in ids])
        wire.flips = (slot,)
        found = rom.search(wire)
        assert set(found) <= set(ids), (slot, found)
    wire.shorted = True
    assert rom.search(wire) == []
    for seed in range(20):
        for id in rom.search(NoisyWire(Random(seed))):
            assert crc8(id) == 0


def check_names():
    assert rom.name(ROM) == "28ff641e8216c328"
    assert rom.parse("28ff641e8216c328") == ROM
    for text in ("28ff641e8216c300", "28FF641E8216C328", "28ff641e8216c3", "", "28ff641e8216c3g1"):
        assert rom.parse(text) is None


def check_noise_never_raises():
    clock = Clock()
    random = Random(1)
    driver = DS18B20(NoisyWire(random), ROM, clock)
    seen = {}
    for _ in range(400):
        result = driver.read()
        is_sound(driver, result)
        seen[result[0][1]] = True
    assert set(seen) == {None, "absent", "crc", "out-of-range"}, seen
