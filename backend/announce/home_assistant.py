"""Home Assistant's MQTT discovery, in its device form: one retained message a device. Pure.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import msgspec

from ..queries import DeviceRow, NewestRow
from . import latest

UNITS = {"Cel": "°C", "%RH": "%"}
CLASSES = {"Cel": "temperature", "%RH": "humidity", "Pa": "pressure", "V": "voltage", "dBm": "signal_strength"}
# Seconds after which a value is stale. A ladder: an interval that is measured must not make a new message each time.
STALE_AFTER = (60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 259_200, 604_800)
UNKNOWN_INTERVAL = 60_000


def topic(prefix: str, device: str) -> str:
    return f"{prefix}/device/thermograph-{device}/config"


def message(prefix: str, device: DeviceRow, channels: Iterable[NewestRow]) -> latest.Told:
    ident = f"thermograph-{device.name}"
    health = device.health or {}
    components = {_ident(channel): _sensor(device.name, channel) for channel in channels}
    if "rssi" in health:
        components["rssi"] = _diagnosis(device.name, "rssi", "Signal", "dBm") | {"device_class": "signal_strength"}
    if "outbox" in health:
        components["outbox"] = _diagnosis(device.name, "outbox.depth", "Readings on the device", "readings")
    told = {
        "device": {
            "identifiers": [ident],
            "name": one_line(device.label or device.name),
            "manufacturer": "Thermograph",
            "sw_version": one_line(str(health.get("firmware") or "")),
        },
        "origin": {"name": "Thermograph"},
        "components": components,
        "availability_topic": f"thermograph/v1/{device.name}/status",
        "payload_available": "online",
        "payload_not_available": "offline",
        "state_topic": latest.topic(device.name),
        "qos": 1,
    }
    return topic(prefix, device.name), msgspec.json.encode(told)


def one_line(text: str) -> str:
    """Data that Home Assistant shows as it is: one line of what can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:120]


def _ident(channel: NewestRow) -> str:
    return f"channel-{channel.channel}"


def _sensor(device: str, channel: NewestRow) -> dict[str, Any]:
    # Sensor ids and units are checked words (reading.py): none of them can end the quotes of a template.
    value = f"value_json.channels['{latest.key(channel)}']"
    age = f"as_timestamp(now()) * 1000 - {value}.t"
    stale = _stale_after(channel.interval)
    sensor = {
        "platform": "sensor",
        "unique_id": f"thermograph-{device}-{_ident(channel)}",
        "name": f"{channel.sensor} {UNITS.get(channel.unit, channel.unit)}",
        "state_class": "measurement",
        "unit_of_measurement": UNITS.get(channel.unit, channel.unit),
        "expire_after": stale,
        # A retained message that comes anew is as old as its reading: expire_after counts from its coming only.
        "value_template": f"{{{{ {value}.value if {age} < {stale * 1000} else None }}}}",
    }
    return sensor | ({"device_class": CLASSES[channel.unit]} if channel.unit in CLASSES else {})


def _diagnosis(device: str, field: str, name: str, unit: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "unique_id": f"thermograph-{device}-{field.partition('.')[0]}",
        "name": name,
        "unit_of_measurement": unit,
        "entity_category": "diagnostic",
        "state_topic": f"thermograph/v1/{device}/state",
        "value_template": f"{{{{ value_json.{field} }}}}",
    }


def _stale_after(interval: int | None) -> int:
    """Three intervals without a reading, as on the page, rounded up."""
    wanted = 3 * (interval or UNKNOWN_INTERVAL) / 1000
    return STALE_AFTER[min(bisect_left(STALE_AFTER, wanted), len(STALE_AFTER) - 1)]
