"""Wear of the Outbox's flash, counted by the flash model while real code fills it; no arithmetic of its own."""

from thermograph.outbox import Outbox

from nor import Nor
from truth import reading

MINUTES = 525600  # in a year of 365 days
_TURNS = 3


def erases_per_year(channels, sectors=256):
    """Erases per sector and year, if each channel is read once a minute. A ring of 8 sectors is as good to count in:
    how many readings one erase lasts for does not depend on it."""
    names = [("28ff641e8216c3%02x" % number, "Cel") for number in range(channels)]
    nor = Nor(8)
    outbox = Outbox(nor, lambda size: b"\x9f\x3a\x1c\x02", names)
    nor.wear = [0] * 8
    number = 0
    while sum(nor.wear) < _TURNS * 8:
        number += 1
        outbox.append(reading(number, names))
    readings = number - 1  # the last erase was for the reading after them
    return sum(nor.wear) / readings * channels * MINUTES / sectors
