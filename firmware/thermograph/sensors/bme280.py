"""BME280: temperature, humidity and pressure on I2C, at 0x76 or 0x77; and BMP280, the same without humidity.

Datasheet: Bosch Sensortec BST-BME280-DS002-15, revision 1.6, September 2018. Weather monitoring, 3.5.1;
trimming parameters, 4.2.2; compensation formulas, 4.2.3; registers, 5.4; measurement time, 9.1. BMP280:
BST-BMP280-DS001, whose 3.12 has the worked example.

A chip whose power goes between command and answer shows the reset values, 80000h and 8000h. 80000h is
also 26 real degrees on many: what tells them apart is ctrl_meas, which is zero after a reset.
"""

from ..moment import let_go
from .driver import Fault, I2CDriver

ID = 0xD0
ID_BME280 = 0x60
ID_BMP280 = 0x58

_CTRL_HUM = 0xF2
_STATUS = 0xF3
_CTRL_MEAS = 0xF4
_DATA = 0xF7  # pressure, temperature, humidity, most significant byte first

_OVERSAMPLING = 0x24  # 1 of temperature, 1 of pressure
_FORCED = 0x01
_MEASURING = 0x08  # in status
_DURATION = 10  # ms; 9.3 at most for 1, 1 and 1


class BME280(I2CDriver):
    limits = ((-40, 85), (30000, 110000), (0, 100))
    noisy = True

    def __init__(self, bus, address, sensor, clock, humidity=True):
        units = ("Cel", "Pa", "%RH") if humidity else ("Cel", "Pa")
        I2CDriver.__init__(self, bus, address, clock, [(sensor, unit) for unit in units])
        self._humidity = humidity
        self._trim = None

    def _start(self):
        if not self._set_up:
            from .bme280_trim import read_trim

            self._trim = read_trim(self._get, self._clock.pause, self._humidity)
            read_trim = None
            let_go("sensors.bme280_trim")
            self._set_up = True
        if self._humidity:
            self._put(_CTRL_HUM, b"\x01")  # takes effect with the next write to ctrl_meas
        self._put(_CTRL_MEAS, bytes((_OVERSAMPLING | _FORCED,)))
        return _DURATION

    def _measure(self):
        status, control = self._get(_STATUS, 2)
        if control & 0xFC != _OVERSAMPLING:
            raise Fault("power-on")
        if status & _MEASURING:
            raise Fault("timeout")
        data = self._get(_DATA, 8 if self._humidity else 6)
        pressure = data[0] << 12 | data[1] << 4 | data[2] >> 4
        temperature = data[3] << 12 | data[4] << 4 | data[5] >> 4
        self._raws = [temperature, pressure]
        fine, celsius_100 = compensate_temperature(self._trim, temperature)
        values = [celsius_100 / 100, compensate_pressure(self._trim, pressure, fine) / 256]
        if self._humidity:
            humidity = data[6] << 8 | data[7]
            self._raws.append(humidity)
            values.append(compensate_humidity(self._trim, humidity, fine) / 1024)
        return self._together(values)

    def _together(self, values):
        """The others are compensated by the temperature: they are worth no more than it."""
        low, high = self.limits[0]
        fault = None if low <= values[0] <= high else "out-of-range"
        return [(value, fault) for value in values]


def compensate_temperature(trim, raw):
    """(t_fine, hundredths of a degree). 4.2.3, BME280_compensate_T_int32."""
    t1, t2, t3 = trim[:3]
    coarse = (((raw >> 3) - (t1 << 1)) * t2) >> 11
    square = (((((raw >> 4) - t1) ** 2) >> 12) * t3) >> 14
    fine = coarse + square
    return fine, (fine * 5 + 128) >> 8


def compensate_pressure(trim, raw, fine):
    """Pa in 1/256. 4.2.3, BME280_compensate_P_int64; 0, which is out of range, where it would divide by 0."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = trim[3:12]
    x = fine - 128000
    offset = x * x * p6 + ((x * p5) << 17) + (p4 << 35)
    slope = ((x * x * p3) >> 8) + ((x * p2) << 12)
    slope = (((1 << 47) + slope) * p1) >> 33
    if slope == 0:
        return 0
    p = (((1048576 - raw) << 31) - offset) * 3125 // slope
    second = (p9 * (p >> 13) * (p >> 13)) >> 25
    first = (p8 * p) >> 19
    return ((p + second + first) >> 8) + (p7 << 4)


def compensate_humidity(trim, raw, fine):
    """%RH in 1/1024, 0 to 100. 4.2.3, bme280_compensate_H_int32."""
    h1, h2, h3, h4, h5, h6 = trim[12:]
    x = fine - 76800
    gain = ((((x * h6) >> 10) * (((x * h3) >> 11) + 32768)) >> 10) + 2097152
    x = (((raw << 14) - (h4 << 20) - h5 * x + 16384) >> 15) * ((gain * h2 + 8192) >> 14)
    x -= ((((x >> 15) * (x >> 15)) >> 7) * h1) >> 4
    return min(419430400, max(0, x)) >> 12
