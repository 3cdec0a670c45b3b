"""Noise on I2C: no driver raises, whatever comes; on CPython and on MicroPython."""

import struct

from thermograph.sensors import lm75
from thermograph.sensors.bme280 import BME280
from thermograph.sensors.mcp9808 import MCP9808
from thermograph.sensors.sht3x import SHT3x
from thermograph.sensors.sht4x import SHT4x

from checks_sensor_bosch import bosch
from checks_sensor_i2c import sht3x, sht4x, sht_answer
from sensor_buses import Clock, Random, is_sound
from sensor_noise import NoisyI2C


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
