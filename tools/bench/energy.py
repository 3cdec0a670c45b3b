"""python -m tools bench energy: what a reading costs a battery, from what the firmware was counted to do."""

import json
from typing import NamedTuple

import click

BATTERY = 3000 * 0.8  # mAh
# mA of a bare WROOM-32E module. ESP32 datasheet: modem-sleep at 240 MHz 30 to 68, receiving 100, peaks 240, deep sleep
# 0.01; DS18B20 datasheet: 1.5 while it converts.
AWAKE, CONVERTING, RADIO, ASLEEP = 45.0, 46.5, 120.0, 0.01
# s. Assumed, until they are measured on a board: from reset to MicroPython's main.py; one flash read of up to 128 bytes
# through littlefs; what the processor needs for loading and for the heap's second step; Wi-Fi, TLS and the ack.
CHIP, READ, LOADING, SENDING = 0.35, 0.00015, 0.35, 3.0
# s, of a DS18B20 with 12 bits and the loop around it: counted over fakes (tests/firmware/test_esp32_power.py).
CONVERSION = 0.85


class Part(NamedTuple):
    """A part of a wake. milliamperes; seconds."""

    name: str
    milliamperes: float
    seconds: float

    @property
    def charge(self) -> float:
        """mAs"""
        return self.milliamperes * self.seconds


@click.command()
@click.option("--interval", default=60.0, show_default=True, help="Seconds between two readings.")
@click.option("--every", default=10, show_default=True, help="Readings that are sent together (send.every).")
@click.option("--reads", type=int, help="Flash reads of a start.  [default: counted, as by bench flash]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def energy(interval: float, every: int, reads: int | None, as_json: bool) -> None:
    """The charge of a reading with deep sleep between readings, and how long a battery of 3,000 mAh lasts.

    Flash reads of a start are counted; currents are the datasheets'; seconds are assumed where no count gives them
    (tools/bench/energy.py names each).
    """
    if reads is None:
        from .flash import measure

        counted = measure(outbox=True, loose=False)
        reads = int(counted["a start, files"][0] + counted["a start, outbox"][0])
    parts = wake(interval, every, reads)
    charge = sum(part.charge for part in parts)
    a_day = charge / 3600 * 86400 / interval
    figures = {"reads": reads, "mAs": round(charge, 1), "mAh_a_day": round(a_day, 1), "days": round(BATTERY / a_day)}
    if as_json:
        print(json.dumps({**figures, "parts": {part.name: round(part.charge, 1) for part in parts}}))
        return
    for part in parts:
        print(f"{part.name:52}{part.milliamperes:8.2f} mA {part.seconds:8.2f} s {part.charge:8.1f} mAs")
    print(f"a reading: {charge:.0f} mAs, {charge / 3600:.3f} mAh; {a_day:.1f} mAh a day; {figures['days']} days")


def wake(interval: float, every: int, reads: int) -> list[Part]:
    """One reading: what it takes awake, its share of a sending, and the sleep to the next."""
    start = CHIP + LOADING + reads * READ
    awake = [
        Part(f"start: the chip, loading, {reads:,} flash reads", AWAKE, start),
        Part("the sensor converts, the loop ends", CONVERTING, CONVERSION),
        Part(f"1/{every} of a sending: Wi-Fi, TLS, ack", RADIO, SENDING / every),
    ]
    return [*awake, Part("deep sleep to the next", ASLEEP, max(0.0, interval - start - CONVERSION))]
