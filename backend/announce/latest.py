"""`latest`: the newest committed value of each channel of a device. Pure; tests/wire/v1/latest.json is its example."""

from collections.abc import Iterable

import msgspec

from ..queries import NewestRow

Told = tuple[str, bytes]


def topic(device: str) -> str:
    return f"thermograph/v1/{device}/latest"


def key(channel: NewestRow) -> str:
    return f"{channel.sensor}/{channel.unit}"


def message(device: str, channels: Iterable[NewestRow]) -> Told:
    """t: Unix ms UTC at which it was sampled; value: corrected by the channel's calibration, null for a fault."""
    told = {
        key(channel): {
            "t": channel.t,
            "tq": channel.tq,
            "value": channel.value,
            "fault": channel.fault,
            "stream": channel.stream,
            "seq": channel.seq,
        }
        for channel in channels
    }
    return topic(device), msgspec.json.encode({"v": 1, "channels": told})
