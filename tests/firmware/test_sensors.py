"""The drivers' checks on CPython and on MicroPython, and what holds for all driver files."""

import re

import pytest
from thermograph.sensors.scan import kinds

import checks_sensor_bosch
import checks_sensor_i2c
import checks_sensor_noise
import checks_sensor_onewire
import checks_sensor_others
import checks_sensor_scan
from checks import HERE, names, run

MODULES = (
    checks_sensor_i2c,
    checks_sensor_bosch,
    checks_sensor_noise,
    checks_sensor_onewire,
    checks_sensor_others,
    checks_sensor_scan,
)
SENSORS = HERE.parent.parent / "firmware" / "thermograph" / "sensors"


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in MODULES for name in names(module)])
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_sensors(where, module, name, request):
    run(where, module, name, request)


def test_every_kind_and_every_driver_file_is_in_the_readme():
    text = (SENSORS / "README.md").read_text(encoding="utf-8")
    for kind in kinds():
        assert f"`{kind}`" in text, kind
    for path in SENSORS.glob("*.py"):
        if path.name != "__init__.py":
            assert f"`{path.name}`" in text, path.name


def test_every_chip_names_its_datasheet():
    for name in ("ds18b20", "dht22", "sht3x", "sht4x", "bme280", "lm75", "mcp9808", "max31855"):
        head = (SENSORS / f"{name}.py").read_text(encoding="utf-8").split('"""')[1]
        assert re.search(r"Datasheets?:", head), name


def test_drivers_are_handed_bus_and_clock():
    for path in SENSORS.glob("*.py"):
        found = re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(found) <= {"math", "struct", "errno", "collections", "binascii"}, path
