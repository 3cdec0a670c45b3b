"""NTC thermistor and a resistor as a divider, on an ADC that gives microvolts.

Formulas: beta, 1/T = 1/T0 + ln(R/R0)/B (IEC 60539-1, 3.9: B is defined by it); Steinhart and Hart, "Calibration
curves for thermistors", Deep-Sea Research 15 (1968) 497: 1/T = A + B ln R + C (ln R)^3. Kelvin and ohm.

An open circuit reads one rail and a short circuit the other. But an ADC may end before the rail: an ESP32 reads no
more than about 3.1 V of 3.3 V, which would pass for a cold thermistor. `ceiling_uv` says where it ends.
"""

from math import log

from .driver import OPEN, SHORT, Driver

KELVIN = 273.15
_T0 = 25 + KELVIN
_SAMPLES = 9  # the median of so many: an ESP32's ADC throws single values away while Wi-Fi sends
_EDGE = 0.01  # of the supply: nearer to a rail than this there is no thermistor between


class Beta:
    """ohms at 25 degrees, and B in kelvin."""

    def __init__(self, ohms, beta):
        self._ohms = ohms
        self._beta = beta

    def celsius(self, ohms):
        return 1 / (1 / _T0 + log(ohms / self._ohms) / self._beta) - KELVIN


class SteinhartHart:
    def __init__(self, a, b, c):
        self._a, self._b, self._c = a, b, c

    def celsius(self, ohms):
        x = log(ohms)
        return 1 / (self._a + self._b * x + self._c * x * x * x) - KELVIN


class NTC(Driver):
    """adc: read_uv(). curve: Beta or SteinhartHart. series_ohms: the resistor; supply_uv: what feeds the divider.
    to_ground: the thermistor is between pin and ground, and the resistor between supply and pin; or the other way."""

    limits = ((-55, 150),)

    def __init__(self, adc, sensor, clock, curve, series_ohms, supply_uv=3300000, to_ground=True, ceiling_uv=3000000):
        Driver.__init__(self, clock, [(sensor, "Cel")])
        self._adc = adc
        self._curve = curve
        self._series_ohms = series_ohms
        self._supply_uv = supply_uv
        self._to_ground = to_ground
        self._low_uv = supply_uv * _EDGE
        self._high_uv = min(supply_uv * (1 - _EDGE), ceiling_uv)

    def _measure(self):
        uv = sorted([self._adc.read_uv() for _ in range(_SAMPLES)])[_SAMPLES // 2]
        if uv <= self._low_uv:
            return [(None, SHORT if self._to_ground else OPEN)]
        if uv >= self._high_uv:
            return [(None, OPEN if self._to_ground else SHORT)]
        rest_uv = self._supply_uv - uv
        ohms = self._series_ohms * (uv / rest_uv if self._to_ground else rest_uv / uv)
        try:
            return [(self._curve.celsius(ohms), None)]
        except ZeroDivisionError:  # coefficients that are no thermistor's
            return [(None, "out-of-range")]
