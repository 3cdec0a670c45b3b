"""What all drivers share: two steps, start() and read(), and faults instead of exceptions and sentinels.

A chip's own class gives `limits`, `_start()` and `_measure()`; each may raise Fault, and what the bus raises
(OSError) is turned into one. README.md, "How to add a chip".
"""

from errno import EAGAIN, ETIMEDOUT

# What a thermocouple's or thermistor's wires may do, in the words of reading.FAULTS.
OPEN = "absent"
SHORT = "out-of-range"


class Fault(Exception):
    """Why there is no value, one of reading.FAULTS. Never leaves a driver."""


class Driver:
    """channels: [(sensor, unit)]; limits: (lowest, highest) of each, what the chip is made for.

    clock: uptime() and pause(ms). noisy: its lowest bits never rest, so a value that does is stuck."""

    limits = ()
    noisy = False

    def __init__(self, clock, channels):
        self._clock = clock
        self.channels = channels
        self._ready_at = None
        self._fault = None
        self._set_up = False  # False after every fault: the chip may have lost its power, or be another one
        self._stuck = ()
        if self.noisy:
            from .stuck import Stuck

            self._stuck = [Stuck(clock) for _ in channels]
        self._raws = ()  # bits of each channel as the chip gave them, where noisy

    def start(self):
        """Begin a measurement; the ms until read() has it. Does not wait and does not raise: read() tells."""
        self._fault = None
        wait = 0
        try:
            wait = self._start()
        except (Fault, OSError) as error:
            self._fault = name_of(error)
        self._ready_at = self._clock.uptime() + wait
        return wait

    def read(self):
        """[(value, None) or (None, fault)], one for each channel. Waits for what is missing of start()'s ms, and
        for all of them if there was no start()."""
        if self._ready_at is None:
            self.start()
        rest = self._ready_at - self._clock.uptime()
        if rest > 0:
            self._clock.pause(rest)
        self._ready_at = None
        fault = self._fault
        if fault is None:
            try:
                return self._checked(self._measure())
            except (Fault, OSError) as error:
                fault = name_of(error)
        self._set_up = False
        return [(None, fault)] * len(self.channels)

    def _start(self):
        """Begin a measurement; the ms it takes."""
        return 0

    def _measure(self):
        """[(value, fault)] of the measurement that was started."""
        raise NotImplementedError

    def _checked(self, measured):
        result = []
        for index, (value, fault) in enumerate(measured):
            low, high = self.limits[index]
            if fault is None and not low <= value <= high:  # NaN is not between anything
                fault = "out-of-range"
            if self._stuck and self._stuck[index].seen(self._raws[index]) and fault is None:
                fault = "stuck"
            result.append((value, None) if fault is None else (None, fault))
        return result


class I2CDriver(Driver):
    """A chip at an address of an I2C bus, which is machine.I2C or its like."""

    def __init__(self, bus, address, clock, channels):
        Driver.__init__(self, clock, channels)
        self._bus = bus
        self._address = address

    def _get(self, register, size):
        return self._bus.readfrom_mem(self._address, register, size)

    def _put(self, register, data):
        self._bus.writeto_mem(self._address, register, data)


def name_of(error):
    """The fault of a Fault, or of what a bus raised: ETIMEDOUT is a bus or chip that hangs; ENODEV, EIO and the
    rest are what ports say when nobody acknowledges."""
    if isinstance(error, Fault):
        return error.args[0]
    return "timeout" if error.args and error.args[0] in (ETIMEDOUT, EAGAIN) else "absent"


def signed(raw, bits):
    """Two's complement of so many bits."""
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def broken(data):
    """The Fault of bytes whose checksum is wrong. All bits alike are nobody's: a bus that is not driven reads ones,
    one shorted to ground zeros (whose CRC is right, in Dallas' case)."""
    return Fault("absent" if not any(data) or all([byte == 0xFF for byte in data]) else "crc")


def crc8(data):
    """Dallas CRC-8: x^8 + x^5 + x^4 + 1, bits reflected, from 0 (Maxim application note 27). Bit by bit: a table
    would cost more memory than the microseconds are worth."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc
