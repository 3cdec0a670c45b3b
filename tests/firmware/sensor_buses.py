"""Buses and chips for the drivers' checks, modelled below the driver: bits on a 1-Wire line, bytes on I2C and SPI.

The chips are written from their datasheets, not from the drivers. Runs on MicroPython too.
"""

from errno import ENODEV, ETIMEDOUT


class Clock:
    """Time passes in pause() and where a check says so."""

    def __init__(self, now=100000):
        self.now = now
        self.paused = 0

    def uptime(self):
        return self.now

    def pause(self, ms):
        self.now += ms
        self.paused += ms


class Random:
    """The same on both interpreters."""

    def __init__(self, seed):
        self._state = seed

    def below(self, limit):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) % limit

    def bytes(self, size):
        return bytes([self.below(256) for _ in range(size)])


def is_sound(driver, result):
    """What a Node relies on, whatever the bus did."""
    from thermograph.reading import FAULTS  # here: where memory is measured, the firmware's modules are its own

    assert len(result) == len(driver.channels) == len(driver.limits[: len(result)]), result
    for (value, fault), (low, high) in zip(result, driver.limits):
        assert (value is None) != (fault is None), result
        if fault is None:
            assert low <= value <= high, result
        else:
            assert fault in FAULTS, result


def near(result, wanted, error):
    assert len(result) == len(wanted), result
    for (value, fault), right in zip(result, wanted):
        assert fault is None and abs(value - right) <= error, (result, wanted)


# -- 1-Wire, bit by bit (datasheet of the DS18B20, "1-Wire signaling", "ROM commands", "Function commands")


def maxim_crc(data):
    """Application note 27, by the shift register of its figure 2: not the driver's arithmetic."""
    register = [0] * 8
    for byte in data:
        for at in range(8):
            back = (byte >> at & 1) ^ register[7]
            register = register[-1:] + register[:7]
            register[0] = back
            register[4] ^= back
            register[5] ^= back
    return sum([bit << (7 - at) for at, bit in enumerate(register)])


def rom_of(digits):
    """8 bytes from the 14 digits before the CRC."""
    body = bytes([int(digits[at : at + 2], 16) for at in range(0, 14, 2)])
    return body + bytes([maxim_crc(body)])


class Wire:
    """The bus: open drain, so what it reads is the and of all. API as MicroPython's onewire.OneWire."""

    def __init__(self, *chips):
        self.chips = list(chips)
        self.shorted = False
        self.flips = ()  # numbers of read slots whose bit is disturbed
        self.slots = 0

    def reset(self, required=False):
        present = False
        for chip in self.chips:
            chip.reset()
            present = present or chip.plugged
        return present or self.shorted

    def writebit(self, bit):
        for chip in self.chips:
            if chip.plugged:
                chip.take(bit)

    def readbit(self):
        bit = 1
        for chip in self.chips:
            if chip.plugged:
                bit &= chip.give()
        self.slots += 1
        if self.slots in self.flips:
            bit ^= 1
        return 0 if self.shorted else bit

    def writebyte(self, byte):
        for chip in self.chips:
            if chip.plugged:
                chip.take_byte(byte)

    def readbyte(self):
        if not self.flips and not self.shorted:
            self.slots += 8
            byte = 0xFF
            for chip in self.chips:
                if chip.plugged:
                    byte &= chip.give_byte()
            return byte
        return sum([self.readbit() << at for at in range(8)])

    def readinto(self, buffer):
        for at in range(len(buffer)):
            buffer[at] = self.readbyte()

    def write(self, data):
        for byte in data:
            self.writebyte(byte)


class Thermometer:
    """A DS18B20. genuine: byte 6 counts; else it is constant, or (overwritten) takes the last byte written."""

    def __init__(
        self, clock, rom, raw=0x0191, genuine=True, overwritten=False, at_start=0x0550, eeprom=b"\x4b\x46\x7f"
    ):
        self.clock = clock
        self.rom = rom
        self.raw = raw  # what the next conversion finds
        self.plugged = True
        self.deaf = False  # does not convert
        self._genuine = genuine
        self._overwritten = overwritten
        self._at_start = at_start
        self._eeprom = eeprom
        self.power_on()

    def power_on(self):
        self.pad = bytearray(8)
        self._store(self._at_start)
        self.pad[2:5] = self._eeprom
        self.pad[5:8] = b"\xff\x0c\x10"
        self._done_at = None
        self.reset()

    def reset(self):
        self._next = self._rom_command
        self._bits, self._count = 0, 0
        self._out = None

    def take(self, bit):
        self._bits |= bit << self._count
        self._count += 1
        if self._next == self._searching:
            if bit == self._rom_bit(self._at):
                self._at += 1
                self._pair = 0
            else:
                self._next = self._asleep
        elif self._next == self._matching:
            if bit != self._rom_bit(self._count - 1):
                self._next = self._asleep
            elif self._count == 64:
                self._then(self._function)
        elif self._count % 8 == 0:
            self._next(self._bits)

    def take_byte(self, byte):
        """As eight takes, in less time: a day has 10,000 readings."""
        if self._next == self._asleep:
            return
        if self._next == self._searching or self._count % 8:
            for at in range(8):
                self.take(byte >> at & 1)
            return
        self._bits |= byte << self._count
        self._count += 8
        if self._next != self._matching:
            self._next(self._bits)
        elif byte != self.rom[(self._count >> 3) - 1]:
            self._next = self._asleep
        elif self._count == 64:
            self._then(self._function)

    def give_byte(self):
        """As eight gives."""
        if self._out is None and self._next != self._searching:
            return 0xFF
        if self._out is None or self._out_at % 8:
            return sum([self.give() << at for at in range(8)])
        at, self._out_at = self._out_at >> 3, self._out_at + 8
        return self._out[at] if at < len(self._out) else 0xFF

    def give(self):
        if self._next == self._searching:
            bit = self._rom_bit(self._at) ^ self._pair
            self._pair = 1
            return bit
        if self._out is None:
            return 1
        at, self._out_at = self._out_at, self._out_at + 1
        return self._out[at >> 3] >> (at & 7) & 1 if at < 8 * len(self._out) else 1

    def _then(self, state):
        self._next = state
        self._bits, self._count = 0, 0

    def _rom_bit(self, at):
        return self.rom[at >> 3] >> (at & 7) & 1 if at < 64 else 1

    def _rom_command(self, command):
        self._at = self._pair = 0
        states = {0x55: self._matching, 0xF0: self._searching, 0xCC: self._function}
        self._then(states.get(command, self._asleep))

    def _asleep(self, bits):
        pass

    def _matching(self, bits):
        pass

    def _searching(self, bits):
        pass

    def _function(self, command):
        self._then(self._asleep)
        self._convert()
        if command == 0x44 and not self.deaf:
            self._done_at = self.clock.now + 600
        elif command == 0xBE:
            self._out, self._out_at = bytes(self.pad) + bytes([maxim_crc(self.pad)]), 0
        elif command == 0x4E:
            self._then(self._write)

    def _write(self, bits):
        if self._count == 24:
            self.pad[2], self.pad[3], self.pad[4] = bits & 0xFF, bits >> 8 & 0xFF, bits >> 16
            if self._overwritten:
                self.pad[6] = bits >> 16

    def _convert(self):
        if self._done_at is not None and self.clock.now >= self._done_at:
            self._done_at = None
            self._store(self.raw)
            if self._genuine:
                self.pad[6] = 0x10 - (self.raw & 0x0F)

    def _store(self, raw):
        self.pad[0], self.pad[1] = raw & 0xFF, raw >> 8 & 0xFF


# -- I2C, byte by byte


class I2C:
    """machine.I2C: chips by address. hangs: the bus does not come back in time."""

    def __init__(self, chips):
        self.chips = chips
        self.hangs = False

    def scan(self):
        return list(self.chips)

    def writeto(self, address, data):
        self._chip(address).write(bytes(data))

    def readfrom(self, address, size):
        data = self._chip(address).read(size)
        assert len(data) == size
        return data

    def writeto_mem(self, address, register, data):
        self._chip(address).write(bytes((register,)) + bytes(data))

    def readfrom_mem(self, address, register, size):
        self._chip(address).write(bytes((register,)))
        return self.readfrom(address, size)

    def _chip(self, address):
        if self.hangs:
            raise OSError(ETIMEDOUT)
        if address not in self.chips:
            raise OSError(ENODEV)
        return self.chips[address]


class Words:
    """Registers of one or two bytes behind a pointer: LM75 and its family, MCP9808."""

    def __init__(self, registers):
        self._at_start = registers
        self.power_on()

    def power_on(self):
        self.registers = dict(self._at_start)
        self._pointer = 0

    def write(self, data):
        self._pointer = data[0]
        if len(data) > 1:
            self.changed(self._pointer, data[1:])

    def changed(self, register, data):
        if register in self.registers:
            self.registers[register] = data

    def read(self, size):
        value = self.registers.get(self._pointer, b"\xff")
        return (value + bytes([value[-1]]) * size)[:size]


class OneShot(Words):
    """TMP102 (SBOS397: OS reads 0 while it converts, R1 and R0 are read-only) and TMP105 (OS reads 0 always)."""

    def __init__(self, clock, temperature, has_os=True):
        self.clock = clock
        self.temperature = temperature  # the register after the next conversion
        self.takes = 26 if has_os else 220
        self._has_os = has_os
        Words.__init__(self, {0: b"\x00\x00", 1: b"\x60\xa0" if has_os else b"\x00"})

    def power_on(self):
        Words.power_on(self)
        self._done_at = None
        self._rests = False

    def changed(self, register, data):
        if register == 1:
            if data[0] & 0x81 == 0x81 and self._rests:
                self._done_at = self.clock.now + self.takes
            self._rests = bool(data[0] & 1)
            data = bytes((data[0] & 0x7F,)) + data[1:]
        self.registers[register] = data

    def read(self, size):
        if self._done_at is not None and self.clock.now >= self._done_at:
            self._done_at = None
            self.registers[0] = self.temperature
        if self._pointer == 1 and self._has_os and self._rests and self._done_at is None:
            config = self.registers[1]
            return (bytes((config[0] | 0x80,)) + config[1:])[:size]
        return Words.read(self, size)


class Bosch:
    """BME280 and BMP280: 256 registers; a forced measurement of `data` (pressure, temperature, humidity: F7h-FEh)."""

    def __init__(self, clock, id, calibration, data):
        self.clock = clock
        self.takes = 9
        self.calibration = calibration  # {first register: bytes}
        self.data = data
        self._id = id
        self.power_on()

    def power_on(self):
        self.memory = bytearray(256)
        self.memory[0xD0] = self._id
        for register, data in self.calibration.items():
            self.memory[register : register + len(data)] = data
        self.memory[0xF7:0xFF] = b"\x80\x00\x00\x80\x00\x00\x80\x00"
        self._pointer, self._done_at = 0, None

    def write(self, data):
        self._pointer = data[0]
        for at in range(1, len(data), 2):
            register, value = data[at - 1], data[at]
            self.memory[register] = value
            if register == 0xF4 and value & 3 in (1, 2):
                self._done_at = self.clock.now + self.takes
                self.memory[0xF3] |= 8

    def read(self, size):
        if self._done_at is not None and self.clock.now >= self._done_at:
            self._done_at = None
            self.memory[0xF3] &= ~8
            self.memory[0xF4] &= 0xFC
            self.memory[0xF7:0xFF] = self.data
        return bytes(self.memory[self._pointer : self._pointer + size])


class Sensirion:
    """SHT3x and SHT4x: answers[command] is what a read gives after it, measure the one that takes time."""

    def __init__(self, clock, measure, takes, answers):
        self.clock = clock
        self.answers = answers
        self.measure = measure
        self.takes = takes
        self.heated = False
        self._command, self._ready_at = None, 0

    def write(self, data):
        if data not in self.answers:
            self.heated = self.heated or (len(self.measure) == 1 and data[0] in b"\x39\x32\x2f\x24\x1e\x15")
            self._command = None
            if len(data) != 1 or len(self.measure) == 1:
                raise OSError(ENODEV)  # does not acknowledge what is no command
            return
        self._command = data
        self._ready_at = self.clock.now + (self.takes if data == self.measure else 0)

    def read(self, size):
        if self._command is None or self.clock.now < self._ready_at:
            raise OSError(ENODEV)
        data = self.answers[self._command]
        self._command = None
        return data[:size]
